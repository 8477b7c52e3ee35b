"""The daemon's own clock: what plays when nobody else's runs."""

from __future__ import annotations

from .timeline import Line


class Internal:
    """A steady tempo from wherever it was started. Pure."""

    name = "internal"

    def __init__(self, tempo_bpm: float) -> None:
        self.running = False
        self.jumps = 0  # counts the breaks of the position
        self._line = Line(0, 0.0, 60e9 / tempo_bpm)

    @property
    def tempo_bpm(self) -> float:
        return 60e9 / self._line.ns_per_beat

    def line(self, t_ns: int) -> Line:
        return self._line

    def set_tempo(self, tempo_bpm: float, t_ns: int) -> None:
        self._line = Line(t_ns, self._line.beat_at(t_ns), 60e9 / tempo_bpm)

    def start(self, beat: float, t_ns: int) -> None:
        self._line = Line(t_ns, beat, self._line.ns_per_beat)
        self.running = True
        self.jumps += 1

    def stop(self) -> None:
        self.running = False
