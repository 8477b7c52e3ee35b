-- @noindex
-- Let the actions reach the service over MIDI, at once and without starting a program: the service
-- learns a controller on channel 16 for each command, and remembers it.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local service = dofile(folder .. "lib/service.lua")

local TITLE, PORT = "RWKV Music", "RWKV Music In"
local FIRST_CONTROLLER = 102 -- 102 to 119 mean nothing else to anybody
local YES_NO_CANCEL, YES, NO = 3, 6, 7

local controllers = {}
for number, command in ipairs(service.commands) do
  controllers[command] = FIRST_CONTROLLER + number - 1
end

local function output()
  for device = 0, reaper.GetNumMIDIOutputs() - 1 do
    local present, name = reaper.GetMIDIOutputName(device, "")
    if present and name:find(PORT, 1, true) then return device, name end
  end
end

-- The MIDI messages of the commands, as the service writes them; or nil and what went wrong.
local function learned()
  local ok, answer = service.ask("learn/list")
  if not ok then return nil, answer end
  local messages = {}
  for command, message in answer:gmatch('/rwkv/learned (%S+) "([^"]*)"') do
    messages[command] = message
  end
  return messages
end

local function is_ours(command, message)
  return message == ("cc %d ch 16"):format(controllers[command])
end

-- Let the service learn all commands; returns what went wrong.
local function teach(device, name)
  local before, problem = learned()
  if not before then return problem end
  local last = service.commands[#service.commands]
  if is_ours(last, before[last]) then service.ask("unlearn", last) end -- so that its coming shows
  for _, command in ipairs(service.commands) do
    local ok, reason = service.ask("learn", command)
    if not ok then return reason end
    service.send_midi(device, controllers[command])
  end
  local now, reason = learned()
  if not now then return reason end
  local missing = {}
  for _, command in ipairs(service.commands) do
    local message = now[command]
    if not is_ours(command, message) then
      missing[#missing + 1] = command
      if message and message ~= before[command] then service.ask("unlearn", command) end -- a key
    end
  end
  if #missing == 0 then return nil end
  return ("%s did not reach the service: enable the output %s in Preferences > MIDI Devices")
    :format(table.concat(missing, ", "), name)
end

local function set_up()
  local device, name = output()
  if not device then
    return PORT .. " is no MIDI output of REAPER's: enable it in Preferences > MIDI Devices"
  end
  service.forget("midi_output") -- until it is known to work
  local problem = teach(device, name)
  if problem then
    service.ask("learn") -- that is called off: the next key is none of ours
    return problem .. "\nThe actions run the program."
  end
  for command, controller in pairs(controllers) do
    service.set("controller_" .. command, tostring(controller))
  end
  service.set("midi_output", name)
  return ("%d commands now go over MIDI to %s"):format(#service.commands, name)
end

local function main()
  local name = service.setting("midi_output")
  if not name then return set_up() end
  local question = "The commands go over MIDI to " .. name .. ". Set that up anew?\n"
    .. "No: the actions run the program again."
  local answer = reaper.ShowMessageBox(question, TITLE, YES_NO_CANCEL)
  if answer == YES then return set_up() end
  if answer == NO then service.forget("midi_output") end
end

local outcome = main()
if outcome then reaper.ShowMessageBox(outcome, TITLE, 0) end
