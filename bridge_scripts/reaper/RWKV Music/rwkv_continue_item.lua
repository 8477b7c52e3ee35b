-- @noindex
-- Continue the selected MIDI item by as many bars as the service's `bars`, in a new item behind it.
-- REAPER stays responsive meanwhile.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local service = dofile(folder .. "lib/service.lua")
local items = dofile(folder .. "lib/items.lua")
local exchange = dofile(folder .. "lib/exchange.lua")

local PATIENCE_S = 90

local function fail(text)
  reaper.ShowMessageBox(text, "RWKV Music", 0)
end

local function poll(context, bars, files, until_s)
  local notes, problem = exchange.read(files.outcome)
  if notes == nil and reaper.time_precise() < until_s then
    reaper.defer(function() poll(context, bars, files, until_s) end)
    return
  end
  os.remove(files.context)
  os.remove(files.outcome)
  if notes then
    local ok, reason = items.write(context, notes, bars)
    if not ok then fail(reason) end
  else
    fail(problem or ("no answer within %d s"):format(PATIENCE_S))
  end
end

local function main()
  local context, reason = items.context()
  if not context then return fail(reason) end
  local ok, answer = service.ask("get/bars")
  local bars = ok and math.tointeger(tonumber(answer:match("/rwkv/param/bars (%d+)")))
  if not bars then return fail(answer) end
  local files = { outcome = exchange.outcome() }
  files.context, reason = exchange.write(context.notes)
  if not files.context then return fail(reason) end
  ok, reason = service.start({
    "compose", files.context,
    "--tempo", ("%.6f"):format(context.tempo),
    "--meter", ("%d/%d"):format(context.numerator, context.denominator),
    "--bars", tostring(bars),
    "-o", files.outcome,
  })
  if not ok then return fail(reason) end
  service.show("continuing the selected item")
  poll(context, bars, files, reaper.time_precise() + PATIENCE_S)
end

main()
