-- Ardour without its window, as a clock: `ardour7-lua ardour_clock.lua` with SONG (a folder to make),
-- TEMPI ("beat:bpm beat:bpm ...") and SECONDS. Says `ready`, waits for a line, and rolls from the top.

local BY_USER = ARDOUR.TransportRequestSource.TRS_UI
local RATE = 48000

AudioEngine:set_backend("JACK", "", "")
if AudioEngine:start(false) ~= 0 then error("the engine does not start on JACK") end
ARDOUR.config():set_send_midi_clock(true)
local song = create_session(os.getenv("SONG"), "song", RATE)
if not song then error("no session can be made") end

local map = Temporal.TempoMap.fetch_writable()
local seconds, last_beat, last_bpm = 0, 0, nil
for beat, bpm in os.getenv("TEMPI"):gmatch("([%d.]+):([%d.]+)") do
  beat, bpm = tonumber(beat), tonumber(bpm)
  if last_bpm then seconds = seconds + (beat - last_beat) * 60 / last_bpm end
  map:set_tempo(Temporal.Tempo(bpm, bpm, 4), Temporal.timepos_t(math.floor(seconds * RATE + 0.5)))
  last_beat, last_bpm = beat, bpm
end
Temporal.TempoMap.update(map)

local function rolls()
  song:request_roll(BY_USER)
  for _ = 1, 30 do
    if song:transport_sample() > 0 then return true end
    ARDOUR.LuaAPI.usleep(100000)
  end
end

-- Now and then an Ardour comes up whose transport never moves.
if not rolls() then error("the transport does not roll") end
song:request_stop(false, false, BY_USER)
ARDOUR.LuaAPI.usleep(500000)
song:request_locate(0, false, ARDOUR.LocateTransportDisposition.MustStop, BY_USER)
ARDOUR.LuaAPI.usleep(500000)

print("ready")
io.flush()
io.read()
song:request_roll(BY_USER)
ARDOUR.LuaAPI.usleep(math.floor(tonumber(os.getenv("SECONDS")) * 1000000))
song:request_stop(false, false, BY_USER)
quit()
