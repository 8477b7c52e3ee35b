"""What was heard, as bars: the player's notes and our own as they really sounded. Pure.

Positions come in beats of the transport's present numbering, which begins anew after a locate;
every bar also gets a serial number that ascends for ever, by which the model's process knows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rwkv_music.hearing import MEMORY_BARS, SILENT_BARS
from rwkv_music.music import LONGEST_STEPS, STEPS_PER_BEAT
from rwkv_music.tempo import TempoTracker
from rwkv_music.timebase import beats_to_steps, round_half_up, steps_to_beats

from .assembled_bar import AssembledBar, BarNote, Voice, hear
from .messages import Hear, Unhear
from .osc.arguments import OscError
from .planner import PlannedNote
from .transport import BarSpan

HISTORY_BARS = 1024
GRID_STEPS = {"full": 1, "sixteenths": 3, "triplets": 4}


class Assembler:
    """Puts notes into bars and says which bars have changed."""

    def __init__(self, grid: str = "full") -> None:
        self.grid = grid
        self._tempo = TempoTracker()
        self._tempos: dict[int, float] = {}  # settled for bars to come, by number
        self._serial = 0
        self._now: dict[int, AssembledBar] = {}  # bars of the present numbering, by number
        self._held: dict[tuple[int, int], BarNote] = {}  # under the player's channels and pitches
        self._ours: dict[int, BarNote] = {}  # our last note of each pitch
        self._changed: dict[int, AssembledBar] = {}  # bars to tell again, by serial number
        self.bars: deque[AssembledBar] = deque(maxlen=HISTORY_BARS)
        self._is_undone = False  # what was played last, and nothing has come since
        self._settled = -1  # the last bar, by serial number, that no session can correct

    def onset_step(self, beat: float, span: BarSpan) -> int:
        """The step, from beat 0, to which an onset of the player's in this bar belongs: the
        nearest of the grid that begins at its bar line and the next line."""
        grid = GRID_STEPS[self.grid]
        steps = (beat - span.start_beat) * STEPS_PER_BEAT
        onset = round_half_up(steps / grid) * grid
        if steps - onset >= span.meter.steps - steps:
            onset = span.meter.steps  # where the grid's last place is less than a grid before it
        return beats_to_steps(span.start_beat) + min(onset, span.meter.steps)

    @property
    def half_grid_beats(self) -> float:
        """A note this much before a bar line is on it: then the bar is known."""
        return GRID_STEPS[self.grid] / STEPS_PER_BEAT / 2

    def bar(self, span: BarSpan, tempo_bpm: float) -> AssembledBar:
        """The bar of this span, begun now if it is new."""
        bar = self._now.get(span.number)
        if bar is None:
            start = beats_to_steps(span.start_beat)
            tempo = self.tempo(span, tempo_bpm)
            del self._tempos[span.number]
            bar = AssembledBar(self._serial, span.number, start, span.meter, tempo)
            self._serial += 1
            self._now[span.number] = bar
            self._now.pop(span.number - HISTORY_BARS, None)  # no event is as late as that
            self.bars.append(bar)
        elif bar.meter != span.meter:  # a meter came just in time for the line
            bar.meter = span.meter
            self._touch(bar)
            self._hand_on(bar, span, tempo_bpm)
        return bar

    def _hand_on(self, bar: AssembledBar, span: BarSpan, tempo_bpm: float) -> None:
        """What was played beyond the end that a bar has now is of the next one."""
        steps = bar.meter.steps
        beyond = [note for note in bar.notes if note.onset >= steps]
        if not beyond:
            return
        next_span = BarSpan(span.number + 1, span.end_beat, span.meter)
        home = self.bar(next_span, tempo_bpm)
        bar.notes = [note for note in bar.notes if note.onset < steps]
        home.notes += beyond
        for note in beyond:
            note.onset -= steps
        self._touch(home)
        self._hand_on(home, next_span, tempo_bpm)

    def has_notes(self, span: BarSpan) -> bool:
        """Whether anybody has played in the bar of this span yet."""
        return span.number in self._now and bool(self._now[span.number].notes)

    def tempo(self, span: BarSpan, tempo_bpm: float) -> float:
        """The centre of the tempo class that the bar of this span has, or will have if it is still
        to come: what was said of it once holds."""
        bar = self._now.get(span.number)
        if bar is not None:
            return bar.tempo_bpm
        if span.number not in self._tempos:
            self._tempos[span.number] = self._tempo.settle(tempo_bpm)
        return self._tempos[span.number]

    def note_on(
        self,
        beat: float,
        step: int,
        span: BarSpan,
        tempo_bpm: float,
        pitch: int,
        velocity: int,
        channel: int = 0,
    ) -> BarNote:
        """The player strikes a key at `beat`, which belongs to `step` (see `onset_step`); `span` is
        the bar that the step lies in. The note, which grows while the key is down."""
        self.note_off(beat, pitch, channel)
        bar = self.bar(span, tempo_bpm)
        note = BarNote(step - bar.start_step, pitch, velocity, 1, Voice.PLAYER, beat, held=True)
        self._is_undone = False
        bar.notes.append(note)
        self._touch(bar)
        self._held[channel, pitch] = note
        return note

    def note_off(self, beat: float, pitch: int, channel: int = 0) -> BarNote | None:
        """The player's key goes up; the note that it ends, if any."""
        if (channel, pitch) not in self._held:
            return None
        note = self._held.pop((channel, pitch))
        note.duration = _steps_between(note.beat, beat)
        note.held = False
        self._touch_home(note)
        return note

    def played(self, note: PlannedNote, span: BarSpan, tempo_bpm: float) -> None:
        """A note of ours has begun to sound, on its planned step and for its planned length."""
        bar = self.bar(span, tempo_bpm)
        ours = BarNote(
            note.start_step - bar.start_step,
            note.pitch,
            note.velocity,
            note.duration_steps,
            Voice.MODEL,
            steps_to_beats(note.start_step),
            request=note.request,
        )
        bar.notes.append(ours)
        self._is_undone = False
        self._touch(bar)
        self._ours[note.pitch] = ours

    def cut(self, beat: float, pitch: int) -> None:
        """Our note of this pitch was ended before its time."""
        if pitch in self._ours:
            note = self._ours.pop(pitch)
            note.duration = min(note.duration, _steps_between(note.beat, beat))
            self._touch_home(note)

    def refresh(self, beat: float) -> None:
        """Let the notes under held keys grow to where the music is now."""
        for key, note in list(self._held.items()):
            note.duration = _steps_between(note.beat, beat)
            self._touch_home(note)
            if note.duration >= LONGEST_STEPS:  # longer has no token
                note.held = False
                del self._held[key]

    def close(self, span: BarSpan, tempo_bpm: float) -> AssembledBar:
        """No onset will be added to this bar any more. A silence after something that was undone is
        passed over: as if that had not been, nothing has followed it either."""
        bar = self.bar(span, tempo_bpm)
        if not bar.closed:
            bar.closed, bar.passed_over = True, self._is_undone
            self._touch(bar)
        return bar

    def renumber(self, beat: float, moved: tuple[int, BarSpan] | None = None) -> None:
        """The transport has jumped: end what is held at `beat`, close all bars, begin anew. A bar
        that is open and empty has hardly begun, and nothing is told of it. `moved`: a line that was
        on this step opens that bar now, and what has begun there goes on."""
        kept = None
        for bar in self._now.values():
            if bar.closed:
                continue
            if moved is not None and bar.start_step == moved[0]:
                kept = bar
            elif bar.notes:
                bar.closed = True
                self._touch(bar)
            else:
                self.bars.remove(bar)
                self._changed.pop(bar.serial, None)
        going_on = [] if kept is None else kept.notes
        for (channel, pitch), note in list(self._held.items()):
            if note not in going_on:
                self.note_off(beat, pitch, channel)
        self._ours = {pitch: note for pitch, note in self._ours.items() if note in going_on}
        self._now.clear()
        self._tempos.clear()
        if kept is not None and moved is not None:
            step, span = moved
            self._now[span.number] = kept
            kept.number, kept.start_step = span.number, beats_to_steps(span.start_beat)
            for note in kept.notes:
                note.beat += span.start_beat - steps_to_beats(step)

    def to_undo(self) -> int:
        """The last completion. Raises OscError 406 when it cannot be taken out of what was heard,
        or not as a whole."""
        request = self.last_request()
        if not request:
            raise OscError(406, f"no completion in the last {MEMORY_BARS} bars to undo")
        settled = (bar for bar in self.bars if bar.serial <= self._settled)
        if any(note.request == request for bar in settled for note in bar.notes):
            began = f"the last completion began more than {MEMORY_BARS} bars ago"
            raise OscError(406, f"{began}: it can no more be undone")
        return request

    def last_request(self) -> int:
        """The last completion of which a note stands in bars that can be corrected; 0 when there is
        none."""
        self._settle()
        requests = {n.request for bar in self.bars for n in bar.notes if bar.serial > self._settled}
        return max(requests, default=0)

    def _settle(self) -> None:
        older = self._heard()[:-MEMORY_BARS]
        if older:
            self._settled = max(self._settled, older[-1].serial)

    def undo(self, request: int) -> Unhear:
        """Take a completion out of what was heard; the message that tells which bars have not been:
        its own, of which one may still go on, and the silence after them. Bars that the player
        played in as well have changed."""
        self._settle()  # what was too old before stays so when others are gone
        gone: list[AssembledBar] = []
        for bar in self.bars:
            kept = [note for note in bar.notes if note.request != request]
            was_ours = len(kept) < len(bar.notes)
            bar.notes = kept
            if kept:
                self._is_undone = False
                if was_ours:
                    self._touch(bar)
            elif was_ours or (gone and self._is_undone):
                self._is_undone = True
                gone.append(bar)
        for bar in gone:
            self._changed.pop(bar.serial, None)
            bar.passed_over = bar.closed  # it may be closed already and still go on
        return Unhear(tuple(bar.serial for bar in gone))

    def forget(self) -> Unhear:
        """Nothing was ever heard; keys that are held count from the next time they go down. The
        message for a session that may have heard of it since it was where it is to be."""
        heard = Unhear(tuple(bar.serial for bar in self._heard()[-MEMORY_BARS:]))
        self._held.clear()
        self._ours.clear()
        self._now.clear()
        self._tempos.clear()
        self._changed.clear()
        self.bars.clear()
        self._is_undone = False
        return heard

    def updates(self, until_step: int | None = None) -> Iterator[Hear]:
        """Bars that have changed since they were last told, in order. With `until_step`, notes at
        or after it are kept for later in open bars: a chord there may still be growing."""
        for serial in sorted(self._changed):
            bar = self._changed[serial]
            known = bar.notes
            if until_step is not None and not bar.closed:
                known = [n for n in known if bar.start_step + n.onset < until_step]
            if len(known) == len(bar.notes):
                del self._changed[serial]
            if known or bar.is_silence:
                yield hear(bar, known)

    @property
    def last_heard(self) -> int:
        """The last bar, by serial number, that a session has heard of; -1 when there is none."""
        return max((bar.serial for bar in self._heard()), default=-1)

    def recent(self, after: int = -1) -> Iterator[Hear]:
        """The last bars once more, those after that one, for a model that has heard none of them
        yet."""
        self._changed.clear()
        for bar in self._heard()[-MEMORY_BARS:]:
            if bar.serial > after:
                yield hear(bar, bar.notes)

    def _heard(self) -> list[AssembledBar]:
        """The bars as a session hears them. Of a silence only the beginning, which is all that is
        heard of it: it must not push the music out."""
        told: list[AssembledBar] = []
        silent = 0
        for bar in self.bars:
            if not (bar.notes or bar.is_silence):
                continue
            silent = 0 if bar.notes else silent + 1
            if silent <= SILENT_BARS:
                told.append(bar)
        return told

    def _touch(self, bar: AssembledBar) -> None:
        self._changed[bar.serial] = bar

    def _touch_home(self, note: BarNote) -> None:
        """Tell the bar of a note again; one that was undone has none."""
        home = next((bar for bar in reversed(self.bars) if note in bar.notes), None)
        if home is not None:
            self._touch(home)


def _steps_between(onset_beat: float, end_beat: float) -> int:
    return min(max(beats_to_steps(end_beat - onset_beat), 1), LONGEST_STEPS)
