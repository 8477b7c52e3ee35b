-- A stand-in for REAPER: lua5.4 fake_reaper.lua SCRIPT SCENARIO
--
-- SCENARIO is a Lua file that returns a table: tempo, numerator, denominator, markers (changes of the
-- meter: {beat, numerator, denominator}, the first on beat 0), first_bar (the number of that bar, if it
-- is not 1), items (first_beat, last_beat, selected, source_beats if it is looped, offset beats, notes of {beat, beats, pitch, velocity, channel,
-- muted}), outputs, midi_to (a file for what is sent to them; without it they are dead), settings, os,
-- input, pressed (the button of a question), moments (a list of {play_state, beat}: one each time that
-- deferred functions are called), loop ({first, last} beat), before_7. The script runs, then what it
-- deferred; then what happened is printed, a line for each thing. A function that REAPER does not
-- have, or that is used wrongly, is an error.

local script, scenario_path = arg[1], arg[2]
local project = dofile(scenario_path)
local log, deferred, settings = {}, {}, project.settings or {}
local PPQ = 960
local clock_s = 0

local function say(...)
  log[#log + 1] = table.concat({ ... }, "\t")
end

local function integer(value, what)
  if math.type(value) ~= "integer" then error(what .. ": an integer is expected, got " .. tostring(value), 3) end
  return value
end

local function current(value)
  if value ~= 0 then error("the current project, 0, is expected", 3) end
end

local markers = project.markers or { { 0, project.numerator, project.denominator } }
local second = 60 / project.tempo

-- The bar that holds a beat: its number from 0, its line and the next, its meter.
local function bar_at(beat)
  local number = 0
  for index, marker in ipairs(markers) do
    local first, numerator, denominator = table.unpack(marker)
    local beats, following = numerator * 4 / denominator, markers[index + 1]
    if not following or beat < following[1] then
      local bars = math.floor((beat - first) / beats)
      local line = first + bars * beats
      return number + bars, line, line + beats, numerator, denominator
    end
    number = number + math.floor((following[1] - first) / beats + 0.5)
  end
end

local round = 1 -- how often deferred functions were called, and once more
local function moment()
  local moments = project.moments or { {} }
  return moments[math.min(round, #moments)]
end

local items = {}
for number, item in ipairs(project.items or {}) do
  items[number] = item
  item.take = { item = item }
  item.track = item.track or "track 1"
end

local undo_depth, at_exit = 0, function() end
reaper = setmetatable({
  get_action_context = function() return false, script, 0, 32060, 0, -1, 0 end,
  SetToggleCommandState = function(section, command, state)
    integer(section, "section_id") integer(command, "command_id") integer(state, "state")
    say("lit", command, state)
    return true
  end,
  RefreshToolbar2 = function(section, command) integer(section, "section_id") integer(command, "command_id") end,
  atexit = function(callback) at_exit = callback end,
  set_action_options = function(flag) say("options", integer(flag, "flag")) end,
  GetExtState = function(section, key) return settings[section .. "." .. key] or "" end,
  SetExtState = function(section, key, value, persist)
    settings[section .. "." .. key] = value
    say("setting", section .. "." .. key, value, tostring(persist))
  end,
  DeleteExtState = function(section, key, persist)
    settings[section .. "." .. key] = nil
    say("forgotten", section .. "." .. key, tostring(persist))
  end,
  GetOS = function() return project.os or "Other" end,
  file_exists = function(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
  end,
  GetMousePosition = function() return 10, 20 end,
  TrackCtl_SetToolTip = function(text, x, y, topmost)
    integer(x, "x") integer(y, "y")
    say("tooltip", text)
  end,
  ShowMessageBox = function(text, title, kind)
    integer(kind, "type")
    say(kind == 0 and "box" or "question", title, (text:gsub("\n", " ")))
    return kind == 0 and 1 or project.pressed
  end,
  GetUserInputs = function(title, count, captions, values)
    integer(count, "num_inputs")
    say("asked", captions, values)
    local text = project.input or values
    return project.input ~= nil, captions:find("separator=|", 1, true) and text or text:match("^[^,]*")
  end,
  ExecProcess = function(line, timeout_ms)
    integer(timeout_ms, "timeoutmsec")
    say("run", line, tostring(timeout_ms))
    if timeout_ms < 0 then
      os.execute(line .. " >/dev/null 2>&1 &")
      return "0\n"
    end
    local pipe = io.popen(line .. " 2>&1; echo \"status $?\"")
    local output, status = pipe:read("a"):match("^(.*)status (%d+)\n$")
    pipe:close()
    if status == "127" then return nil end
    return status .. "\n" .. output
  end,
  GetNumMIDIOutputs = function() return #(project.outputs or {}) end,
  GetMIDIOutputName = function(device, name)
    local found = project.outputs[integer(device, "dev") + 1]
    return found ~= "", found
  end,
  StuffMIDIMessage = function(mode, status, first, second)
    integer(mode, "mode") integer(status, "msg1") integer(first, "msg2") integer(second, "msg3")
    say("midi", mode, status, first, second)
    if project.midi_to then
      local file = io.open(project.midi_to, "a")
      file:write(status, " ", first, " ", second, "\n")
      file:close()
    end
  end,
  GetResourcePath = function() return project.resource_path end,
  RecursiveCreateDirectory = function(path, ignored)
    os.execute('mkdir -p "' .. path .. '"')
    return 1
  end,
  time_precise = function() return clock_s + os.clock() end,
  defer = function(callback) deferred[#deferred + 1] = callback end,
  GetPlayState = function() return moment().play_state or 0 end,
  GetPlayPosition2 = function() return (moment().beat or 0.0) * second end,
  GetCursorPosition = function() return (moment().beat or 0.0) * second end,
  GetSetRepeat = function(value)
    if integer(value, "val") ~= -1 then error("the repeat state is changed", 2) end
    return project.loop and 1 or 0
  end,
  GetSet_LoopTimeRange2 = function(proj, is_set, is_loop, first, last, may_seek)
    current(proj)
    if is_set or not is_loop then error("the loop is changed, or it is not the loop", 2) end
    local loop = project.loop or { 0, 0 }
    return loop[1] * second, loop[2] * second
  end,
  -- time
  TimeMap2_timeToQN = function(proj, seconds) current(proj) return seconds * project.tempo / 60 end,
  TimeMap2_QNToTime = function(proj, beat) current(proj) return beat * 60 / project.tempo end,
  TimeMap_QNToMeasures = function(proj, beat)
    current(proj)
    local number, line, next_line = bar_at(beat)
    return number + 1, line, next_line
  end,
  TimeMap_GetTimeSigAtTime = function(proj, seconds)
    current(proj)
    local _, _, _, numerator, denominator = bar_at(seconds / second)
    return numerator, denominator, project.tempo
  end,
  format_timestr_pos = function(seconds, text, mode)
    if text ~= "" or integer(mode, "modeoverride") ~= 2 then error("bars and beats are expected", 2) end
    local number, line, _, _, denominator = bar_at(seconds / second)
    local beats = (seconds / second - line) * denominator / 4
    local hundredths = math.floor(beats % 1 * 100)
    return ("%d.%d.%02d"):format(number + (project.first_bar or 1), math.floor(beats) + 1, hundredths)
  end,
  -- items
  GetSelectedMediaItem = function(proj, index)
    current(proj)
    local seen = -1
    for _, item in ipairs(items) do
      if item.selected then seen = seen + 1 end
      if item.selected and seen == index then return item end
    end
  end,
  GetActiveTake = function(item) return item.take end,
  TakeIsMIDI = function(take) return take.item.notes ~= nil end,
  GetMediaItemTrack = function(item) return item.track end,
  GetMediaItemInfo_Value = function(item, name)
    if name == "D_POSITION" then return item.first_beat * second end
    if name == "D_LENGTH" then return (item.last_beat - item.first_beat) * second end
    if name == "B_LOOPSRC" then return item.source_beats and 1.0 or 0.0 end
    error("unknown: " .. name)
  end,
  GetMediaItemTakeInfo_Value = function(take, name)
    if name == "D_PLAYRATE" then return 1.0 end
    error("unknown: " .. name)
  end,
  GetMediaItemTake_Source = function(take) return take.item end,
  GetMediaSourceLength = function(source) return source.source_beats, true end,
  MIDI_CountEvts = function(take) return true, #take.item.notes, 0, 0 end,
  MIDI_GetNote = function(take, index)
    local note = take.item.notes[integer(index, "noteidx") + 1]
    local start = note.beat * PPQ
    return true, false, note.muted or false, start, start + note.beats * PPQ, note.channel or 0,
      note.pitch, note.velocity
  end,
  MIDI_GetProjQNFromPPQPos = function(take, ppq) return take.item.first_beat - (take.item.offset or 0) + ppq / PPQ end,
  MIDI_GetPPQPosFromProjQN = function(take, beat) return (beat - take.item.first_beat) * PPQ end,
  CreateNewMIDIItemInProj = function(track, from_s, to_s, in_beats)
    if project.read_only then error("no item can be made here") end
    if undo_depth ~= 1 then error("not in an undo block") end
    local beats = project.tempo / 60
    local item = { track = track, first_beat = from_s * beats, last_beat = to_s * beats, notes = {} }
    item.take = { item = item }
    items[#items + 1] = item
    say("item", track, ("%.4f"):format(item.first_beat), ("%.4f"):format(item.last_beat))
    return item
  end,
  MIDI_InsertNote = function(take, selected, muted, start, stop, channel, pitch, velocity, no_sort)
    integer(channel, "chan") integer(pitch, "pitch") integer(velocity, "vel")
    say("note", ("%.4f"):format(start / PPQ), pitch, velocity, ("%.4f"):format((stop - start) / PPQ))
    return true
  end,
  MIDI_Sort = function(take) say("sorted") end,
  GetSetMediaItemTakeInfo_String = function(take, name, value, set)
    say("take", name, value)
    return true, value
  end,
  SelectAllMediaItems = function(proj, selected)
    current(proj)
    for _, item in ipairs(items) do item.selected = selected end
  end,
  SetMediaItemSelected = function(item, selected) item.selected = selected end,
  Undo_BeginBlock2 = function(proj) current(proj) undo_depth = undo_depth + 1 say("undo begins") end,
  Undo_EndBlock2 = function(proj, text, flags)
    current(proj) integer(flags, "extraflags")
    undo_depth = undo_depth - 1
    say("undo ends", text)
  end,
  UpdateArrange = function() end,
}, {
  __index = function(_, name)
    if project.before_7 and name == "set_action_options" then return nil end
    error("REAPER has no " .. name, 2)
  end,
})
if project.before_7 then reaper.set_action_options = nil end

dofile(script)
local left = project.most_deferred or 2000
while #deferred > 0 and left > 0 do
  left = left - 1
  local now = deferred
  deferred = {}
  round = round + 1
  if project.moments then
    if round > #project.moments then break end
    say("moment", round - 1)
  end
  for _, callback in ipairs(now) do callback() end
  if #deferred > 0 then
    clock_s = clock_s + (project.defer_s or 0.03)
    if not project.moments then os.execute("sleep 0.02") end
  end
end
at_exit()
if undo_depth ~= 0 then error("an undo block is open") end
print(table.concat(log, "\n"))
