-- The way to the service: a MIDI message where that was set up, else its command line.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])")
local constants = dofile(folder .. "constants.lua")

local service = {}

local SECTION = "rwkv_music" -- of REAPER's extended state
local ANSWER_MS = 5000
local NO_WAIT_MS = reaper.GetOS():match("^Win") and -2 or -1 -- -2: without a window in the way
local CHANNEL_16_CONTROLLER = 0xBF
local HARDWARE_OUTPUTS = 16 -- StuffMIDIMessage counts them from here

local ORDER = {}
for command in pairs(constants.COMMANDS) do ORDER[#ORDER + 1] = command end
table.sort(ORDER)
service.commands = ORDER

function service.setting(name)
  local value = reaper.GetExtState(SECTION, name)
  return value ~= "" and value or nil
end

function service.set(name, value)
  reaper.SetExtState(SECTION, name, value, true)
end

function service.forget(name)
  reaper.DeleteExtState(SECTION, name, true)
end

local function installed_program()
  return dofile(folder .. "program.lua")
end

-- Whether a program may be there: a mere name is looked for by the system.
local function is_there(program)
  return not program:find("[/\\]") or reaper.file_exists(program)
end

-- The one that was entered, while it is there; else the one that was installed with the scripts.
function service.program()
  local entered = service.setting("program")
  return entered and is_there(entered) and entered or installed_program()
end

-- Use that program. Only another one than the installed one is remembered, which the next
-- installation may put elsewhere. Returns whether it is there, and else what is wrong.
function service.set_program(program)
  if not is_there(program) then return false, program .. " is not there" end
  if program == installed_program() then
    service.forget("program")
  else
    service.set("program", program)
  end
  return true
end

-- A line that does not get in the way of somebody who plays.
function service.show(text)
  local x, y = reaper.GetMousePosition()
  reaper.TrackCtl_SetToolTip("RWKV Music: " .. text, x + 16, y + 16, true)
end

local function quoted(words)
  local line = {}
  for number, word in ipairs(words) do
    line[number] = word:find("[^%w%-_./:=]") and '"' .. word .. '"' or word
  end
  return table.concat(line, " ")
end

local function execute(words, wait_ms)
  local program = service.program()
  local output = reaper.ExecProcess(quoted({ program, table.unpack(words) }), wait_ms)
  if output then return output end
  return nil, program .. " cannot be started; the action rwkv_music.lua asks where it is"
end

-- Run the program. Returns whether all went well, and the output or what went wrong.
function service.run(words)
  local output, problem = execute(words, ANSWER_MS)
  if not output then return false, problem end
  local status, text = output:match("^(%-?%d+)\r?\n?(.*)$")
  text = (text or output):gsub("%s+$", "")
  if status == "0" then return true, text end
  return false, service.complaint(text)
end

-- Start the program and do not wait for it. Returns whether it started, and else what went wrong.
function service.start(words)
  local output, problem = execute(words, NO_WAIT_MS)
  return output ~= nil, problem
end

-- What the program printed, in words for a musician.
function service.complaint(text)
  local code, message = text:match("/rwkv/error (%d+) (.*) /rwkv/%S+$")
  if code then return message:gsub('^"(.*)"$', "%1") .. " (" .. code .. ")" end
  local said = text:match("error: (.*)$")
  return said or "the service does not answer; start it with: rwkv-music-daemon run"
end

-- The number of REAPER's MIDI output to the service; nil where there is none, or not set up.
function service.midi_output()
  local wanted = service.setting("midi_output")
  if not wanted then return nil end
  for device = 0, reaper.GetNumMIDIOutputs() - 1 do
    local present, name = reaper.GetMIDIOutputName(device, "")
    if present and name == wanted then return device end
  end
  return nil
end

-- Press a controller and let go of it.
function service.send_midi(device, controller)
  for _, value in ipairs({ 127, 0 }) do
    reaper.StuffMIDIMessage(HARDWARE_OUTPUTS + device, CHANNEL_16_CONTROLLER, controller, value)
  end
end

-- Carry out a command of the table; an error is shown. Over MIDI it takes no time and no answer
-- comes; over the command line it takes as long as a program takes to start.
function service.command(name)
  local device, controller = service.midi_output(), service.setting("controller_" .. name)
  if device and controller then
    service.send_midi(device, math.tointeger(tonumber(controller)))
    return true
  end
  local ok, text = service.run({ "ctl", table.unpack(constants.COMMANDS[name]) })
  if not ok then service.show(text) end
  return ok
end

-- Ask for something; returns whether it worked, and the answer or what went wrong.
function service.ask(...)
  return service.run({ "ctl", ... })
end

return service
