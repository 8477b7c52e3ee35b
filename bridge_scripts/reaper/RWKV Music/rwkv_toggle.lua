-- @noindex
-- Trigger, or stop what is armed or playing.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("toggle")
