-- @noindex
-- Tell the service the meter, now and whenever it changes; run the action again to end it. REAPER's
-- own OSC tells tempo and place, not the meter.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local service = dofile(folder .. "lib/service.lua")

local told

local function follow()
  local playing = reaper.GetPlayState() & 1 == 1
  local position = playing and reaper.GetPlayPosition2() or reaper.GetCursorPosition()
  local numerator, denominator = reaper.TimeMap_GetTimeSigAtTime(0, position)
  local meter = ("%d/%d"):format(numerator, denominator)
  if meter ~= told then
    told = meter
    local words = { "ctl", "transport/meter", tostring(numerator), tostring(denominator) }
    service.run(words, -1)
  end
  reaper.defer(follow)
end

follow()
