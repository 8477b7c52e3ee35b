-- @noindex
-- It plays when you pause.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("mode_auto")
