-- @description RWKV Music: a partner that continues what you play
-- @version 0.1.0
-- @author RWKV Music
-- @about
--   # RWKV Music
--
--   Actions for the RWKV Music service, which runs beside REAPER: trigger, stop, next take, modes,
--   and "continue the selected item". This one asks where the service's program is and says whether
--   the service answers. They need no extension.
-- @provides
--   [main] rwkv_trigger.lua
--   [main] rwkv_toggle.lua
--   [main] rwkv_stop.lua
--   [main] rwkv_panic.lua
--   [main] rwkv_regenerate.lua
--   [main] rwkv_take_next.lua
--   [main] rwkv_undo.lua
--   [main] rwkv_reset.lua
--   [main] rwkv_mode_manual.lua
--   [main] rwkv_mode_trade.lua
--   [main] rwkv_mode_auto.lua
--   [main] rwkv_continue_item.lua
--   [main] rwkv_follow_meter.lua
--   [main] rwkv_midi_setup.lua
--   [nomain] lib/constants.lua
--   [nomain] lib/exchange.lua
--   [nomain] lib/items.lua
--   [nomain] lib/program.lua
--   [nomain] lib/service.lua

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local service = dofile(folder .. "lib/service.lua")

local title = "RWKV Music"
local caption = "Program:,extrawidth=300,separator=|" -- a path may have commas
local given, program = reaper.GetUserInputs(title, 1, caption, service.program())
if given then
  local ok, text = service.set_program(program)
  if ok then ok, text = service.ask("status") end
  reaper.ShowMessageBox(ok and "The service answers: " .. text or text, title, 0)
end
