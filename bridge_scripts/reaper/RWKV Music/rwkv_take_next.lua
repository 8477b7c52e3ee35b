-- @noindex
-- Play the next take at the next launch point.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("take_next")
