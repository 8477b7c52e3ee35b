-- Notes out of a MIDI item, and into a new one. Beats are quarters.

local items = {}

local NEAR_BEATS = 1e-3
local DRUMS = 9 -- channel 10, which the service does not hear either

local function bar_at(beat)
  local _, first, last = reaper.TimeMap_QNToMeasures(0, beat)
  return first, last
end

-- After how many quarters the item begins its source again; nil where it does not.
local function loop_of(item, take)
  if reaper.GetMediaItemInfo_Value(item, "B_LOOPSRC") ~= 1 then return nil end
  local length, in_beats = reaper.GetMediaSourceLength(reaper.GetMediaItemTake_Source(take))
  if not in_beats or length <= 0 then return nil end
  return length / reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE")
end

local function notes_of(item, take, first_beat, last_beat, origin)
  local notes, loop = {}, loop_of(item, take)
  local source_end = loop and reaper.MIDI_GetProjQNFromPPQPos(take, 0) + loop or math.huge
  local _, count = reaper.MIDI_CountEvts(take)
  for number = 0, count - 1 do
    local _, _, muted, start_ppq, end_ppq, channel, pitch, velocity =
      reaper.MIDI_GetNote(take, number)
    local beat = reaper.MIDI_GetProjQNFromPPQPos(take, start_ppq)
    local beats = math.min(reaper.MIDI_GetProjQNFromPPQPos(take, end_ppq), source_end) - beat
    if not muted and channel ~= DRUMS and beat < source_end then
      for at = beat, last_beat - NEAR_BEATS, loop or math.huge do
        if at > first_beat - NEAR_BEATS then -- with an offset the first times are before the item
          notes[#notes + 1] =
            { beat = math.max(at - origin, 0), pitch = pitch, velocity = velocity, beats = beats }
        end
      end
    end
  end
  table.sort(notes, function(one, other) return one.beat < other.beat end)
  return notes
end

-- What there is to be continued in the selected item: notes, counted from the beginning of the bar
-- that it starts in, tempo, meter, and where the new item is to begin. Or nil, and the reason.
function items.context()
  local item = reaper.GetSelectedMediaItem(0, 0)
  local take = item and reaper.GetActiveTake(item)
  if not take or not reaper.TakeIsMIDI(take) then return nil, "select a MIDI item first" end
  local position = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  local first_beat = reaper.TimeMap2_timeToQN(0, position)
  local last_beat =
    reaper.TimeMap2_timeToQN(0, position + reaper.GetMediaItemInfo_Value(item, "D_LENGTH"))
  local origin = bar_at(first_beat + NEAR_BEATS)
  local notes = notes_of(item, take, first_beat, last_beat, origin)
  if #notes == 0 then return nil, "there are no notes in the selected item" end
  local numerator, denominator = reaper.TimeMap_GetTimeSigAtTime(0, position)
  local beat_s = reaper.TimeMap2_QNToTime(0, first_beat + 1) - position
  local bar_first, bar_last = bar_at(last_beat - NEAR_BEATS)
  local on_line = math.abs(last_beat - bar_first) < NEAR_BEATS
  return {
    notes = notes,
    tempo = 60 / beat_s,
    numerator = numerator,
    denominator = denominator,
    track = reaper.GetMediaItemTrack(item),
    next_beat = on_line and bar_first or bar_last,
  }
end

local function write(context, notes, bars)
  local first = context.next_beat
  local last = first + bars * context.numerator * 4 / context.denominator
  local from, to = reaper.TimeMap2_QNToTime(0, first), reaper.TimeMap2_QNToTime(0, last)
  local item = reaper.CreateNewMIDIItemInProj(context.track, from, to, false)
  local take = reaper.GetActiveTake(item)
  for _, note in ipairs(notes) do
    local start_ppq = reaper.MIDI_GetPPQPosFromProjQN(take, first + note.beat)
    local end_ppq = reaper.MIDI_GetPPQPosFromProjQN(take, first + note.beat + note.beats)
    reaper.MIDI_InsertNote(
      take, false, false, start_ppq, end_ppq, 0, note.pitch, note.velocity, true
    )
  end
  reaper.MIDI_Sort(take)
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", "RWKV Music", true)
  reaper.SelectAllMediaItems(0, false)
  reaper.SetMediaItemSelected(item, true) -- so that the action can be repeated
end

-- A new item on the next bar line after the old one, as one step to undo. Returns whether it
-- worked, and else what went wrong.
function items.write(context, notes, bars)
  reaper.Undo_BeginBlock2(0)
  local ok, problem = pcall(write, context, notes, bars)
  reaper.Undo_EndBlock2(0, "RWKV Music: continue the selected item", -1)
  reaper.UpdateArrange()
  return ok, problem
end

return items
