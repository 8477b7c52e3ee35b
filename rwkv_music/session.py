"""The living performance: one state that has heard every bar, and can go back to correct itself.

Bars are told again and again while they grow. What is new at the end is fed; when something
earlier differs (a chord tone came late, a key went up sooner than expected), the session returns
to the last snapshot before the first difference and replays. So after any sequence of calls the
state equals that of a fresh session which is told the same bars once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from .errors import TokenError
from .hearing import MEMORY_BARS, SILENT_BARS
from .keys import NOTHING_HEARD, pitch_class_weights
from .model.protocol import MusicModel
from .music import HIGHEST_PITCH, LONGEST_STEPS, LOWEST_PITCH, Meter, Note

S = TypeVar("S")

_NOTES_PER_MARK = 8  # a snapshot along the current bar after so many notes
_FADING_BARS = 4  # while so many are heard, what was before the beginning tells less and less


@dataclass(frozen=True, slots=True)
class Start(Generic[S]):
    """Where a session begins: a state, and how long each pitch class sounded in a bar of what that
    state has heard, on the average, in steps; none where that is not known."""

    state: S
    bar_weights: tuple[float, ...] = NOTHING_HEARD


@dataclass(frozen=True, slots=True)
class HeardNote:
    """A note as far as it is known. `held`: the key is still down, `duration` is a lower bound."""

    note: Note
    held: bool = False

    def agrees(self, fed: Note, told: HeardNote) -> bool:
        """Whether the state that was fed `fed`, when `told` was known, is still right."""
        if not self.held:
            return fed == self.note
        return (  # what was fed for a key that had gone up is no guess
            told.held
            and replace(fed, duration=self.note.duration) == self.note
            and fed.duration >= self.note.duration
        )


@dataclass(slots=True)
class _Mark(Generic[S]):
    """The state after so many notes of a bar; -1: before its header."""

    notes: int
    state: S


@dataclass(slots=True)
class _HeardBar(Generic[S]):
    number: int
    meter: Meter
    tempo_bpm: float
    silent: int  # how many empty bars were heard just before it
    marks: list[_Mark[S]]
    fed: list[Note] = field(default_factory=list)
    told: tuple[HeardNote, ...] = ()


class Session(Generic[S]):
    """Hears bars in ascending order of their numbers, of which the last 16 can be told again.

    `start` is where it is before anything was heard, the model's own state where there is none;
    `beginning` where it has been since the last `reset`: a state that is not to be moved on.
    """

    def __init__(self, model: MusicModel[S], start: Start[S] | None = None) -> None:
        self._model = model
        self._start = start
        self.reset()

    def reset(self, beginning: Start[S] | None = None) -> None:
        """Forget everything that was heard; with `beginning`, stand there, not at the start."""
        self.beginning = begun = self._start if beginning is None else beginning
        self._state = self._model.start() if begun is None else self._model.fork(begun.state)
        self._bars: list[_HeardBar[S]] = []
        self._forgotten = -1  # the last bar that can no more be told again
        self._silent = SILENT_BARS  # silence before the first note is not heard

    def hear(
        self,
        number: int,
        meter: Meter,
        tempo_bpm: float,
        notes: Iterable[HeardNote],
        *,
        closed: bool,
    ) -> None:
        """Take what is known of a bar: all its notes so far. `closed`: no onset will be added,
        so an empty bar is silence (at most two in a row are heard, none before the first note).

        A bar older than the memory is left as it was heard. Raises TokenError, with nothing
        changed, for notes that have no token.
        """
        told = _in_order(notes)
        for heard in told:
            _check(heard.note, meter)
        index = next((i for i, bar in enumerate(self._bars) if bar.number == number), None)
        if index is not None and bool(told) == bool(self._bars[index].told):
            self._update(index, meter, tempo_bpm, told)
        elif index is not None:
            later = self._rewind(index)[1:]  # which silence is heard may change
            self._hear_new(number, meter, tempo_bpm, told, closed=closed)
            self._hear_again(later)
        elif not self._bars or number > self._bars[-1].number:
            self._hear_new(number, meter, tempo_bpm, told, closed=closed)
        elif number > self._forgotten:  # it was silent, or comes after one that is later
            index = next(i for i, bar in enumerate(self._bars) if bar.number > number)
            if told or (closed and self._bars[index].silent < SILENT_BARS):
                later = self._rewind(index)
                self._hear_new(number, meter, tempo_bpm, told, closed=closed)
                self._hear_again(later)

    def _hear_new(
        self,
        number: int,
        meter: Meter,
        tempo_bpm: float,
        told: tuple[HeardNote, ...],
        *,
        closed: bool,
    ) -> None:
        silence = not told
        if silence and (not closed or self._silent >= SILENT_BARS):
            return
        self._append(number, meter, tempo_bpm)
        self._silent = self._silent + 1 if silence else 0
        self._update(len(self._bars) - 1, meter, tempo_bpm, told)

    def unhear(self, numbers: Collection[int]) -> None:
        """Make the state as if these bars had not been; later bars are heard again. Bars older
        than the memory stay."""
        first = next((i for i, bar in enumerate(self._bars) if bar.number in numbers), None)
        if first is None:
            return
        self._hear_again([bar for bar in self._rewind(first) if bar.number not in numbers])

    def _rewind(self, index: int) -> list[_HeardBar[S]]:
        """Go back to before a bar; the bars that have not been heard any more."""
        bar = self._bars[index]
        self._state = self._model.fork(bar.marks[0].state)
        self._silent = bar.silent
        self._bars, later = self._bars[:index], self._bars[index:]
        return later

    def _hear_again(self, bars: Iterable[_HeardBar[S]]) -> None:
        for bar in bars:
            self._hear_new(bar.number, bar.meter, bar.tempo_bpm, bar.told, closed=True)

    def fork(self) -> S:
        """A copy of the live state, for a completion."""
        return self._model.fork(self._state)

    def is_open(self, number: int) -> bool:
        """Whether the state is inside bar `number`: its header was heard, no later one."""
        return bool(self._bars) and self._bars[-1].number == number

    def last_note(self, number: int) -> Note | None:
        """The last note that the state has heard of the open bar `number`."""
        if not self.is_open(number) or not self._bars[-1].fed:
            return None
        return self._bars[-1].fed[-1]

    def as_heard(self, number: int) -> tuple[Note, ...]:
        """The notes of a bar as the state has heard them, a held key with the duration that was
        expected of it; none of a bar older than the memory."""
        bar = next((bar for bar in self._bars if bar.number == number), None)
        return () if bar is None else tuple(bar.fed)

    def heard_weights(self) -> tuple[float, ...]:
        """How long each pitch class sounded in the bars that can be told again, in steps; while
        those are fewer than four, so many of the bars before the beginning count as well."""
        heard = pitch_class_weights(heard.note for bar in self._bars for heard in bar.told)
        bars, weights = self._before()
        return tuple(now + bars * then for now, then in zip(heard, weights, strict=True))

    def bar_weights(self) -> tuple[float, ...]:
        """The same for one bar, on the average: what a `Start` from here on is to know."""
        bars = max(len(self._bars) + self._before()[0], 1)
        return tuple(weight / bars for weight in self.heard_weights())

    def _before(self) -> tuple[int, tuple[float, ...]]:
        """How many bars from before the beginning still count, and what each of them was like."""
        weights = NOTHING_HEARD if self.beginning is None else self.beginning.bar_weights
        return max(_FADING_BARS - len(self._bars), 0) if any(weights) else 0, weights

    def _append(self, number: int, meter: Meter, tempo_bpm: float) -> None:
        if self._bars:
            del self._bars[-1].marks[1:]
        mark = _Mark(-1, self._model.fork(self._state))
        self._bars.append(_HeardBar(number, meter, tempo_bpm, self._silent, [mark]))
        if len(self._bars) > MEMORY_BARS:
            self._forgotten = self._bars.pop(0).number
        self._model.open_bar(self._state, meter, tempo_bpm)

    def _update(
        self, index: int, meter: Meter, tempo_bpm: float, told: tuple[HeardNote, ...]
    ) -> None:
        bar = self._bars[index]
        before, bar.told = bar.told, told
        if (bar.meter, bar.tempo_bpm) != (meter, tempo_bpm):
            bar.meter, bar.tempo_bpm = meter, tempo_bpm
            wrong = -1
        else:
            wrong = next(
                (
                    i
                    for i, fed in enumerate(bar.fed)
                    if i >= len(told) or not told[i].agrees(fed, before[i])
                ),
                len(bar.fed),
            )
        grows = len(told) > len(bar.fed)
        if wrong < len(bar.fed) or (grows and index < len(self._bars) - 1):
            self._replay(index, wrong)
        elif grows:
            self._feed(bar)

    def _replay(self, index: int, wrong: int) -> None:
        """Go back to the last mark of a bar at or before its note `wrong`, and hear from there."""
        bar = self._bars[index]
        while bar.marks[-1].notes > wrong:
            bar.marks.pop()
        mark = bar.marks[-1]
        self._state = self._model.fork(mark.state)
        del bar.fed[max(mark.notes, 0) :]
        for i in range(index, len(self._bars)):
            bar = self._bars[i]
            if i > index:
                bar.marks = [_Mark(-1, self._model.fork(self._state))]
                bar.fed.clear()
            if bar.marks[-1].notes < 0:
                self._model.open_bar(self._state, bar.meter, bar.tempo_bpm)
            self._feed(bar, keep_marks=i == len(self._bars) - 1)

    def _feed(self, bar: _HeardBar[S], *, keep_marks: bool = True) -> None:
        """Hear the notes of a bar that the state has not heard yet."""
        while len(bar.fed) < len(bar.told):
            first = len(bar.fed)
            after = bar.fed[-1] if bar.fed else None
            heard = bar.told[first]
            if heard.held:
                at_least = min(heard.note.duration, LONGEST_STEPS)
                steps = self._model.expected_duration(self._state, heard.note, after, at_least)
                run = [replace(heard.note, duration=steps)]
            else:
                stop = next(
                    (i for i in range(first, len(bar.told)) if bar.told[i].held), len(bar.told)
                )
                stop = min(stop, first + _NOTES_PER_MARK)
                run = [told.note for told in bar.told[first:stop]]
            self._model.hear_notes(self._state, run, after)
            bar.fed += run
            if keep_marks and len(bar.fed) - max(bar.marks[-1].notes, 0) >= _NOTES_PER_MARK:
                bar.marks.append(_Mark(len(bar.fed), self._model.fork(self._state)))


def _check(note: Note, meter: Meter) -> None:
    if not (
        0 <= note.onset < meter.steps
        and LOWEST_PITCH <= note.pitch <= HIGHEST_PITCH
        and 1 <= note.velocity <= 127
        and note.duration >= 1
    ):
        raise TokenError(
            f"{note} in a bar of {meter}: expected an onset from 0 to {meter.steps - 1}, a pitch"
            f" from {LOWEST_PITCH} to {HIGHEST_PITCH}, a velocity from 1 to 127, a duration from 1"
        )


def _in_order(notes: Iterable[HeardNote]) -> tuple[HeardNote, ...]:
    """Canonical order; of two notes of one pitch on one step, the longer."""
    best: dict[tuple[int, int], HeardNote] = {}
    for heard in notes:
        note = replace(heard.note, duration=min(heard.note.duration, LONGEST_STEPS))
        key = note.onset, note.pitch
        other = best.get(key)
        if other is None or (heard.held, note.duration) > (other.held, other.note.duration):
            best[key] = HeardNote(note, heard.held)
    return tuple(best[key] for key in sorted(best))
