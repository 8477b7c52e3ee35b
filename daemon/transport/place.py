"""Where the music is, in beats and in bars. Pure."""

from __future__ import annotations

from collections.abc import Callable

from rwkv_music.music import Meter

from .changes import Change, Located
from .meters import LATE_BEATS
from .playhead import Playhead
from .song_bars import SongBars
from .timeline import Line


class Place(Playhead):
    """A playhead that knows the bars it passes. What happens to it is kept until it is asked for.

    `has_song` says whether what leads it while it plays is in the song of a host.
    """

    def __init__(self, line: Line, meter: Meter, has_song: Callable[[], bool]) -> None:
        super().__init__(line, self._restart_bars, self.note)
        self.bars = SongBars(meter)
        self._has_song = has_song
        self._changes: list[Change] = []

    @property
    def is_in_song(self) -> bool:
        """Whether it is where a host is in its song; at rest nothing else tells a place."""
        return not self.playing or self._has_song()

    def note(self, change: Change) -> None:
        """Keep what has happened."""
        self._changes.append(change)

    def take_changes(self) -> list[Change]:
        """What has happened since it was last asked, in order."""
        changes = self._changes.copy()
        self._changes.clear()
        return changes

    def take_host_bar(self, t_ns: int, *, by_number: bool) -> None:
        """Let the bar that the host told count, where it is that of our beat. If ours was thought
        to be another one, that is a jump even if the position goes on; but a bar that has hardly
        begun may still change its meter."""
        beat = self.beat_at(t_ns)
        before = self.bars.bar_at(beat)
        self.bars.take_host_bar(beat, by_number=by_number)
        bar = self.bars.bar_at(beat)
        has_moved = (bar.number, bar.start_beat) != (before.number, before.start_beat)
        if has_moved or (bar != before and beat - bar.start_beat >= LATE_BEATS):
            self.note(Located(beat))

    def _restart_bars(self, beat: float, t_ns: int) -> None:
        """The position breaks: what was known of bars says nothing of those around this beat."""
        self.bars.restart(beat, t_ns, has_host=self.is_in_song)
