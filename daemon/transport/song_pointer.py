"""What a MIDI song position pointer counts. Pure."""

from __future__ import annotations

SIXTEENTHS_PER_BEAT = 4
TICKS_PER_BEAT = 24
_NEAR_BEATS = 0.6  # a bridge tells its place with some delay
_LATEST_BEATS = 4.0  # after the pointer; what agrees by then does so by chance


class SongPointer:
    """Beats of pointers. MIDI says that they count sixteenths, but Ardour 7 tells ticks of its
    clock: six times too far. Where a bridge in the host tells its place as well, it shows which."""

    def __init__(self) -> None:
        self._per_beat = SIXTEENTHS_PER_BEAT
        self._open: int | None = None  # a pointer with which no place has been compared yet

    def beat(self, pointer: int, host_beat: float | None) -> float:
        """Where the pointer points to; host_beat: where the host was last, by its bridge."""
        self._open = pointer
        if host_beat is not None:
            self.correction(pointer / self._per_beat, host_beat)
        return pointer / self._per_beat

    def correction(self, beat: float, host_beat: float) -> float:
        """By how much the pointer was misread, by the place that the host tells while we are at
        `beat`; 0 where it was not, or where that place is another altogether."""
        if self._open is None or abs(beat - self._open / self._per_beat) > _LATEST_BEATS:
            return 0.0
        other = TICKS_PER_BEAT if self._per_beat == SIXTEENTHS_PER_BEAT else SIXTEENTHS_PER_BEAT
        moved = self._open / other - self._open / self._per_beat
        if abs(beat - host_beat) < _NEAR_BEATS:
            self._open = None
        elif abs(beat + moved - host_beat) < _NEAR_BEATS:
            self._per_beat, self._open = other, None
            return moved
        return 0.0
