-- @noindex
-- Forget everything heard.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("reset")
