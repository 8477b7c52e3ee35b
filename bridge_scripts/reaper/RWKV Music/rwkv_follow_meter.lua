-- @noindex
-- Tell the service the project's bars: their number, line and meter, wherever they are not what
-- follows from the bar told last. REAPER's own OSC tells tempo and place, not the meter. Run the
-- action again to end it; its button is lit while it runs.
local _, path, section, action = reaper.get_action_context()
local folder = path:match("^(.*[/\\])")
local service = dofile(folder .. "lib/service.lua")

local NEAR_BEATS = 1e-3
local AHEAD_S = 0.5 -- a program takes so long to start, or less

local told -- the bar that the service counts from
local coming, until_s -- the bar that it will count from, and by when we are there
local again = false -- by the time that a bar is heard of, it may be over: then tell the next one
local played

-- The bar at a time of the project, numbered as REAPER's BEAT numbers it; its line in quarters.
local function bar_at(seconds)
  local beat = reaper.TimeMap2_timeToQN(0, seconds) + NEAR_BEATS
  local _, line = reaper.TimeMap_QNToMeasures(0, beat)
  local within = reaper.TimeMap2_QNToTime(0, line + NEAR_BEATS)
  local numerator, denominator = reaper.TimeMap_GetTimeSigAtTime(0, within)
  return {
    number = math.tointeger(tonumber(reaper.format_timestr_pos(within, "", 2):match("^%-?%d+"))) - 1,
    line = line,
    numerator = numerator,
    denominator = denominator,
  }
end

-- Whether that bar is where it is when one counts from this one.
local function counts(from, bar)
  if not from or bar.numerator ~= from.numerator or bar.denominator ~= from.denominator then
    return false
  end
  local line = from.line + (bar.number - from.number) * from.numerator * 4 / from.denominator
  return math.abs(bar.line - line) < NEAR_BEATS
end

local function tell(bar)
  local words = { "ctl", "transport/meter" }
  if bar.number >= 0 then -- a project may count its first bars up to 1
    words = { "ctl", "transport/bar", tostring(bar.number), ("%.6f"):format(bar.line) }
  end
  words[#words + 1] = tostring(bar.numerator)
  words[#words + 1] = tostring(bar.denominator)
  service.start(words)
end

-- Where the music will be soon, which may be back at the beginning of a loop.
local function soon(position)
  local ahead = position + AHEAD_S
  local first, last = reaper.GetSet_LoopTimeRange2(0, false, true, 0, 0, false)
  local loops = reaper.GetSetRepeat(-1) == 1 and last - first > AHEAD_S
  return loops and position < last and ahead >= last and first + ahead - last or ahead
end

local function tell_here(bar, next_too)
  told, coming, again = bar, nil, next_too
  tell(bar)
end

-- Tell a bar that does not follow from the one told last, before it begins.
local function look_ahead(position, now_s)
  local bar = bar_at(soon(position))
  if not counts(told, bar) and not counts(coming, bar) then
    coming, until_s = bar, now_s + 2 * AHEAD_S
    tell(bar)
  end
end

local function follow()
  local now_s = reaper.time_precise()
  local playing = reaper.GetPlayState() & 1 == 1
  local position = playing and reaper.GetPlayPosition2() or reaper.GetCursorPosition()
  local bar = bar_at(position)
  local started = playing and not played
  played = playing
  if coming and not counts(told, bar) and counts(coming, bar) then
    told, coming = coming, nil
  end
  if started or not counts(told, bar) then -- a service that was started since knows nothing yet
    tell_here(bar, playing)
  elseif coming and now_s > until_s then -- something else came of it
    tell_here(bar, false)
  elseif again and bar.number ~= told.number then
    tell_here(bar, false)
  elseif playing then
    look_ahead(position, now_s)
  end
  reaper.defer(follow)
end

local function light(state)
  reaper.SetToggleCommandState(section, action, state)
  reaper.RefreshToolbar2(section, action)
end

local ok, problem = service.ask("ping") -- what is told later is not waited for
if not ok then
  reaper.ShowMessageBox(problem, "RWKV Music", 0)
  return
end
if reaper.set_action_options then reaper.set_action_options(1) end -- from REAPER 7 on: no question
reaper.atexit(function() light(0) end)
light(1)
follow()
