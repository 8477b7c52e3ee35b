-- @noindex
-- Stop, and silence all channels.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("panic")
