-- A stand-in for the parts of Ardour that the scripts use: lua5.4 stub_ardour.lua SCRIPT SCENARIO
--
-- SCENARIO is a Lua file that returns a list of moments: rolling, sample, tempo, divisions,
-- note_value, bar and line (its number from 0, the beat on which it begins), perhaps before (the
-- meter before a change on this very line), signal. What is sent is printed, a line for each message, with a line `moment` before
-- each. The song lasts at 48000 samples a second with a tempo that never changes.

local script, scenario = arg[1], dofile(arg[2])
local now
local described
local RATE = 48000

local function strict(name, table_)
  return setmetatable(table_, { __index = function(_, key) error(name .. " has no " .. tostring(key), 2) end })
end

function ardour(description) described = description end

ARDOUR = strict("ARDOUR", {
  LuaOSC = {
    Address = function(uri)
      return strict("Address", {
        send = function(_, address, types, ...)
          local values = { ... }
          if #types ~= #values then error("types and values do not fit") end
          for number, value in ipairs(values) do
            local kind = types:sub(number, number)
            if kind == "i" and math.type(value) ~= "integer" then error("an integer is expected") end
            if kind == "s" and type(value) ~= "string" then error("text is expected") end
          end
          print(table.concat({ uri, address, types, ... }, "\t"))
        end,
      })
    end,
  },
})
LuaSignal = strict("LuaSignal", {
  TransportStateChange = 1,
  LuaTimerDS = 2,
  Set = function() return { add = function(self, signals) self.signals = signals return self end } end,
})
Session = strict("Session", {
  transport_rolling = function() return now.rolling end,
  transport_sample = function() return now.sample end,
})
Temporal = strict("Temporal", {
  ticks_per_beat = 1920,
  timepos_t = function(sample)
    if math.type(sample) ~= "integer" then error("samples are integers") end
    return strict("timepos_t", {
      sample = sample,
      ticks = function() return math.floor(sample / RATE * now.tempo / 60 * 1920 + 0.5) end,
    })
  end,
  TempoMap = {
    read = function()
      return strict("TempoMap", {
        tempo_at = function() return { quarter_notes_per_minute = function() return now.tempo end } end,
        -- As in Ardour, on the line of a change it is the meter before it that is told.
        meter_at = function(_, position)
          local is_line = position.sample == now.sample
          local before = is_line and now.before or { now.divisions, now.note_value }
          return {
            divisions_per_bar = function() return before[1] end,
            note_value = function() return before[2] end,
          }
        end,
        bbt_at = function(_, position)
          local into = position:ticks() - now.line * 1920
          local ticks_a_beat = 1920 * 4 // now.note_value
          return { bars = now.bar + 1, beats = into // ticks_a_beat + 1, ticks = into % ticks_a_beat }
        end,
      })
    end,
  },
})

dofile(script)
print("described", described["type"], described.name, described.author, #described.description > 0)
for name, parameter in pairs(action_params()) do print("parameter", name, parameter.default) end
if described["type"] == "EditorHook" then
  local names = {}
  for signal in pairs(signals().signals) do names[#names + 1] = signal end
  table.sort(names)
  print("signals", table.unpack(names))
end
local run = factory({})
for _, moment in ipairs(scenario) do
  now = moment
  print("moment")
  run(moment.signal and LuaSignal[moment.signal], nil)
end
