-- @noindex
-- As if the last completion had not been.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("undo")
