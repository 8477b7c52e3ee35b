-- @noindex
-- Let the actions reach the service over MIDI, at once and without starting a program: the service
-- learns a controller on channel 16 for each command, and remembers it.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local service = dofile(folder .. "lib/service.lua")

local PORT = "RWKV Music In"
local FIRST_CONTROLLER = 102 -- 102 to 119 mean nothing else to anybody

local function output()
  for device = 0, reaper.GetNumMIDIOutputs() - 1 do
    local present, name = reaper.GetMIDIOutputName(device, "")
    if present and name:find(PORT, 1, true) then return device, name end
  end
end

local function main()
  local device, name = output()
  if not device then
    return PORT .. " is no MIDI output of REAPER's: enable it in Preferences > MIDI Devices"
  end
  for number, command in ipairs(service.commands) do
    local controller = FIRST_CONTROLLER + number - 1
    local ok, problem = service.ask("learn", command)
    if not ok then return problem end
    service.send_midi(device, controller)
    service.set("controller_" .. command, tostring(controller))
  end
  service.set("midi_output", name)
  return ("%d commands now go over MIDI to %s"):format(#service.commands, name)
end

reaper.ShowMessageBox(main(), "RWKV Music", 0)
