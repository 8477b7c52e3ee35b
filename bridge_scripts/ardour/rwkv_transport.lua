ardour {
  ["type"] = "EditorHook",
  name = "RWKV Music: transport",
  author = "RWKV Music",
  description = [[
Tells the RWKV Music service Ardour's tempo, meter and position: at once when the transport starts or
stops, ten times a second while it rolls, once a second at rest.]],
}

function action_params()
  return { ["uri"] = { title = "The service", default = "osc.udp://127.0.0.1:7770" } }
end

function signals()
  return LuaSignal.Set():add({
    [LuaSignal.TransportStateChange] = true,
    [LuaSignal.LuaTimerDS] = true, -- every tenth of a second
  })
end

function factory(params)
  local service = ARDOUR.LuaOSC.Address(params["uri"] or "osc.udp://127.0.0.1:7770")
  local told = {} -- address -> what was sent last
  local rolls = false
  local rest_ticks = 0

  local function tell(address, types, ...)
    local now = table.concat({ ... }, " ")
    if told[address] ~= now then
      told[address] = now
      service:send(address, types, ...)
    end
  end

  -- A beat is a quarter here, as it is for the service.
  local function tell_music()
    local map = Temporal.TempoMap.read()
    local sample = Session:transport_sample()
    local position = Temporal.timepos_t(sample)
    local meter = map:meter_at(Temporal.timepos_t(sample + 1)) -- on the very line it is the one before
    local divisions, note_value = meter:divisions_per_bar(), meter:note_value()
    local bbt = map:bbt_at(position) -- in the meter's beats, its ticks in those of a quarter
    local beat = position:ticks() / Temporal.ticks_per_beat
    local line = beat - (bbt.beats - 1) * 4 / note_value - bbt.ticks / Temporal.ticks_per_beat
    tell("/rwkv/transport/tempo", "f", map:tempo_at(position):quarter_notes_per_minute())
    tell("/rwkv/transport/bar", "ifii", bbt.bars - 1, math.max(math.floor(line * 48 + 0.5) / 48, 0.0),
      math.floor(divisions), math.floor(note_value))
    tell("/rwkv/transport/position", "f", beat)
  end

  return function(signal)
    if not Session then return end
    local rolling = Session:transport_rolling()
    if rolling ~= rolls then
      rolls = rolling
      told = {}
      if rolling then
        tell_music() -- from where on: it comes before the start
        service:send("/rwkv/transport/play", "")
      else
        service:send("/rwkv/transport/stop", "")
        tell_music()
      end
    elseif signal == LuaSignal.LuaTimerDS then
      rest_ticks = rolling and 0 or (rest_ticks + 1) % 10
      if not rolling and rest_ticks == 0 then told = {} end -- the service may be a new one
      tell_music()
    end
  end
end
