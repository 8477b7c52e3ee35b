"""Tempo classes: logarithmic, with 120 at the centre of one, and slow to change."""

from __future__ import annotations

import math

from .errors import TokenError

_TEMPO_BASE_BPM = 120.0
_TEMPO_CLASSES_PER_OCTAVE = 12
_SLOWEST, _FASTEST = -20, 16  # in classes from 120: 37.8 to 302.4 quarters a minute
_HYSTERESIS = 0.75  # classes that the tempo must move away before its token changes
TEMPO_COUNT = _FASTEST - _SLOWEST + 1


def tempo_class(tempo_bpm: float, current: int | None = None) -> int:
    """Index of the tempo's logarithmic class, 0 the slowest; 120 is the centre of a class.

    With `current`, a class is left only when the tempo has moved away from its centre by three
    quarters of a class, so that a jittering clock makes no new tokens.
    """
    if not tempo_bpm > 0 or math.isinf(tempo_bpm):
        raise TokenError(f"tempo: got {tempo_bpm}, expected quarters a minute above 0")
    position = _TEMPO_CLASSES_PER_OCTAVE * math.log2(tempo_bpm / _TEMPO_BASE_BPM) - _SLOWEST
    if current is not None and abs(position - current) <= _HYSTERESIS:
        return current
    return min(max(math.floor(position + 0.5), 0), TEMPO_COUNT - 1)


def tempo_of_class(index: int) -> float:
    """Quarters a minute at the centre of a tempo class."""
    return float(_TEMPO_BASE_BPM * 2 ** ((index + _SLOWEST) / _TEMPO_CLASSES_PER_OCTAVE))


class TempoTracker:
    """Turns a moving tempo into class centres, with hysteresis. One for each performance."""

    def __init__(self) -> None:
        self._class: int | None = None

    def settle(self, tempo_bpm: float) -> float:
        """The class centre that stands for `tempo_bpm` now, in quarters a minute."""
        self._class = tempo_class(tempo_bpm, self._class)
        return tempo_of_class(self._class)
