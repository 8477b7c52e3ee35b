-- @noindex
-- It plays when it is asked to.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("mode_manual")
