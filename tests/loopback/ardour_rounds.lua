-- Ardour without its window: `ardour7-lua ardour_rounds.lua` with the environment below. Rolls from
-- the top, triggers with the action's script, records the answer into a MIDI track, stops, and prints
-- the notes as Ardour has them; again and again. The transport hook is called ten times a second, as
-- Ardour's window would. ROUNDS counts those in which the machine let Ardour's audio run on: where it
-- did not, Ardour's time stood still and the service's did not.

local folder, scripts, uri = os.getenv("SONG"), os.getenv("SCRIPTS"), os.getenv("URI")
local clock_to, notes_from = os.getenv("CLOCK_TO"), os.getenv("NOTES_FROM")
local rounds = math.tointeger(tonumber(os.getenv("ROUNDS")))
local TRIGGER_BEAT, STOP_BEAT = 1, 13
local RATE, TEMPO_BPM = 48000, 180
local STALL_S = 0.03
local BY_USER = ARDOUR.TransportRequestSource.TRS_UI

LuaSignal = { TransportStateChange = 1, LuaTimerDS = 2 } -- the window has it

local function load_script(name)
  ardour = function() end
  dofile(scripts .. "/" .. name .. ".lua")
  return factory({ uri = uri })
end

AudioEngine:set_backend("JACK", "", "")
if AudioEngine:start(false) ~= 0 then error("the engine does not start on JACK") end
ARDOUR.config():set_send_midi_clock(true)
local song = create_session(folder, "song", RATE)
if not song then error("no session can be made") end
local map = Temporal.TempoMap.fetch_writable()
map:set_tempo(Temporal.Tempo(TEMPO_BPM, TEMPO_BPM, 4), Temporal.timepos_t(0))
Temporal.TempoMap.update(map)

local one = ARDOUR.ChanCount(ARDOUR.DataType.midi(), 1)
local track
for made in song:new_midi_track(one, one, true, ARDOUR.PluginInfo(), nil, nil, 1, "Answer",
  ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true):iter() do
  track = made:to_track()
end
if clock_to and AudioEngine:get_port_by_name("MIDI Clock out"):connect(clock_to) ~= 0 then
  error("the clock cannot be connected")
end
if track:input():midi(0):connect(notes_from) ~= 0 then error("the track cannot be connected") end
song:set_control(track:rec_enable_control(), 1, PBD.GroupControlDisposition.NoGroup)

local function beat()
  return Temporal.timepos_t(song:transport_sample()):ticks() / Temporal.ticks_per_beat
end

local function stop_at_the_top()
  song:request_stop(false, false, BY_USER)
  for _ = 1, 50 do
    if not song:transport_rolling() then break end
    ARDOUR.LuaAPI.usleep(100000)
  end
  song:request_locate(0, false, ARDOUR.LocateTransportDisposition.MustStop, BY_USER)
  ARDOUR.LuaAPI.usleep(500000)
end

-- Now and then an Ardour comes up whose transport never moves.
song:request_roll(BY_USER)
for _ = 1, 30 do
  if beat() > 0 then break end
  ARDOUR.LuaAPI.usleep(100000)
end
if beat() == 0 then error("the transport does not roll") end
stop_at_the_top()

local hook, trigger = load_script("rwkv_transport"), load_script("rwkv_trigger")
print("ready")

-- How far the song is ahead of the machine's clock: the least and the most of a round.
local least_s, most_s

local function uptime_s()
  local file = io.open("/proc/uptime")
  local seconds = tonumber(file:read("a"):match("%S+"))
  file:close()
  return seconds
end

local function compare_clocks()
  local ahead_s = song:transport_sample() / RATE - uptime_s()
  least_s, most_s = math.min(least_s or ahead_s, ahead_s), math.max(most_s or ahead_s, ahead_s)
end

local function wait(seconds, is_so, compared)
  for _ = 1, seconds * 10 do
    if is_so and is_so() then return end
    ARDOUR.LuaAPI.usleep(100000)
    hook(LuaSignal.LuaTimerDS)
    if compared and beat() > TRIGGER_BEAT then compare_clocks() end
  end
end

-- "8:5" is five ticks after the eighth beat.
local function beats_of(time)
  local beats, ticks = tostring(time):match("(%d+):(%d+)$")
  return tonumber(beats) + tonumber(ticks) / Temporal.ticks_per_beat
end

local known = {}

local function is_recorded()
  for region in track:playlist():region_list():iter() do
    if not known[region:name()] then return true end
  end
  return false
end

local function print_new_notes()
  for region in track:playlist():region_list():iter() do
    if not known[region:name()] then
      known[region:name()] = true
      local start = beats_of(region:position():beats())
      for note in ARDOUR.LuaAPI.note_list(region:to_midiregion():model()):iter() do
        print(("note\t%.5f\t%d\t%d"):format(start + beats_of(note:time()), note:note(), note:velocity()))
      end
    end
  end
end

local calm, round = 0, 0
while calm < rounds and round < 2 * rounds do
  round = round + 1
  least_s, most_s = nil, nil
  song:request_locate(0, false, ARDOUR.LocateTransportDisposition.MustStop, BY_USER)
  wait(0.5)
  print_new_notes() -- of the round before, where a busy machine brought its region so late
  song:maybe_enable_record(false)
  wait(5, function() return song:record_status() > 0 end) -- 0 is disabled
  song:request_roll(BY_USER)
  wait(10, function() return beat() > TRIGGER_BEAT end)
  trigger()
  wait(20, function() return beat() > STOP_BEAT end, true)
  song:request_stop(false, false, BY_USER)
  wait(5, function() return not song:transport_rolling() end)
  wait(5, is_recorded)
  wait(0.2) -- its notes come a moment after it
  local stall_s = most_s - least_s
  if stall_s < STALL_S then calm = calm + 1 end
  print(("round\t%s\t%.3f"):format(stall_s < STALL_S and "calm" or "stalled", stall_s))
  print_new_notes()
end
print("end")
quit()
