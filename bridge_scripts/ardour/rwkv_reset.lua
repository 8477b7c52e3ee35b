ardour {
  ["type"] = "EditorAction",
  name = "RWKV Music: reset",
  author = "RWKV Music",
  description = [[Forget everything heard.]],
}

function action_params()
  return { ["uri"] = { title = "The service", default = "osc.udp://127.0.0.1:7770" } }
end

function factory(params)
  return function()
    local uri = params and params["uri"] or "osc.udp://127.0.0.1:7770"
    ARDOUR.LuaOSC.Address(uri):send("/rwkv/reset", "")
  end
end
