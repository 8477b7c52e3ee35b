-- @noindex
-- New takes from the state before the last completion.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "lib/service.lua").command("regenerate")
