-- Ardour without its window, in a song of several meters: `ardour7-lua ardour_bars.lua` with SONG,
-- SCRIPTS, URI and perhaps CLOCK_TO. Says `ready`, then obeys lines: `go BEAT` locates there, `roll`
-- and `stop` are the transport, `end` is the end. After each it says `at BAR BEAT METER`, as Ardour
-- has them. The transport hook is called ten times a second meanwhile, as Ardour's window would.

local RATE, TEMPO_BPM = 48000, 120
local BY_USER = ARDOUR.TransportRequestSource.TRS_UI
local METERS = { { 4, 4, 0 }, { 3, 4, 16 }, { 6, 8, 28 }, { 4, 4, 34 } } -- the last is the beat

LuaSignal = { TransportStateChange = 1, LuaTimerDS = 2 } -- the window has it

AudioEngine:set_backend("JACK", "", "")
if AudioEngine:start(false) ~= 0 then error("the engine does not start on JACK") end
ARDOUR.config():set_send_midi_clock(true)
local song = create_session(os.getenv("SONG"), "song", RATE)
if not song then error("no session can be made") end

local function sample_of(beat) return math.floor(beat * 60 / TEMPO_BPM * RATE + 0.5) end

local map = Temporal.TempoMap.fetch_writable()
map:set_tempo(Temporal.Tempo(TEMPO_BPM, TEMPO_BPM, 4), Temporal.timepos_t(0))
for _, meter in ipairs(METERS) do
  map:set_meter(Temporal.Meter(meter[1], meter[2]), Temporal.timepos_t(sample_of(meter[3])))
end
Temporal.TempoMap.update(map)

local clock_to = os.getenv("CLOCK_TO")
if clock_to and AudioEngine:get_port_by_name("MIDI Clock out"):connect(clock_to) ~= 0 then
  error("the clock cannot be connected")
end

ardour = function() end
dofile(os.getenv("SCRIPTS") .. "/rwkv_transport.lua")
local hook = factory({ uri = os.getenv("URI") })

local function wait(tenths)
  for _ = 1, tenths do
    ARDOUR.LuaAPI.usleep(100000)
    hook(LuaSignal.LuaTimerDS)
  end
end

local function roll()
  song:request_roll(BY_USER)
  ARDOUR.LuaAPI.usleep(50000)
  hook(LuaSignal.TransportStateChange)
end

local function stop()
  song:request_stop(false, false, BY_USER)
  ARDOUR.LuaAPI.usleep(200000)
  hook(LuaSignal.TransportStateChange)
end

-- Now and then an Ardour comes up whose transport never moves.
local before = song:transport_sample()
roll()
wait(20)
if song:transport_sample() == before then error("the transport does not roll") end
stop()

print("ready")
io.flush()
for line in io.lines() do
  local order, beat = line:match("^(%a+) ?(%S*)")
  if order == "end" then break end
  if order == "go" then
    song:request_locate(sample_of(tonumber(beat)), false,
      song:transport_rolling() and ARDOUR.LocateTransportDisposition.MustRoll
      or ARDOUR.LocateTransportDisposition.MustStop, BY_USER)
  elseif order == "roll" then
    roll()
  elseif order == "stop" then
    stop()
  end
  wait(order == "go" and not song:transport_rolling() and 12 or 3)
  local now = Temporal.timepos_t(song:transport_sample())
  local read = Temporal.TempoMap.read()
  local meter = read:meter_at(now)
  print(("at\t%d\t%.3f\t%d/%d"):format(read:bbt_at(now).bars - 1, now:ticks() / Temporal.ticks_per_beat,
    meter:divisions_per_bar(), meter:note_value()))
  io.flush()
end
quit()
