"""Clips as buttons: launching one that is named `rwkv trigger` is the command `trigger`.

They can be clicked, given a key or a MIDI control by Live itself, and put into scenes.
"""

from __future__ import annotations

from typing import Any, Callable

from .settings import COMMANDS

_PREFIX = "rwkv"
_OTHER_NAMES = {"next_take": "take_next", "continue": "continue_clip"}


def command_of(name: str) -> str | None:
    """The command that a clip of that name is; None for any other clip."""
    prefix, _, words = name.strip().lower().partition(" ")
    command = "_".join(words.split())
    command = _OTHER_NAMES.get(command, command)
    return command if command in COMMANDS and prefix.rstrip(":") == _PREFIX else None


class ClipButtons:
    """Watches the tracks of a song. `press` takes a command. Live's own thread."""

    def __init__(self, song: Any, press: Callable[[str], None]) -> None:
        self._song = song
        self._press = press
        self._tracks: list[_Track] = []
        song.add_tracks_listener(self._watch)
        self._watch()

    def disconnect(self) -> None:
        """Watch no more."""
        if self._song.tracks_has_listener(self._watch):
            self._song.remove_tracks_listener(self._watch)
        self._leave()

    def _watch(self) -> None:
        self._leave()
        self._tracks = [_Track(track, self._press) for track in self._song.tracks]

    def _leave(self) -> None:
        for track in self._tracks:
            track.leave()
        self._tracks = []


class _Track:
    """A track whose clips may be buttons. A launch is seen when it is asked for, or, where Live
    launches without waiting, when it happens: never twice."""

    def __init__(self, track: Any, press: Callable[[str], None]) -> None:
        self._track = track
        self._press = press
        self._fired = -1
        track.add_fired_slot_index_listener(self._slot_fired)
        track.add_playing_slot_index_listener(self._slot_plays)

    def leave(self) -> None:
        try:
            self._track.remove_fired_slot_index_listener(self._slot_fired)
            self._track.remove_playing_slot_index_listener(self._slot_plays)
        except Exception:  # Live has no one error for a track that was deleted
            self._fired = -1

    def _slot_fired(self) -> None:
        index = self._track.fired_slot_index
        if index >= 0:
            self._fired = index
            self._run(index)

    def _slot_plays(self) -> None:
        index = self._track.playing_slot_index
        fired, self._fired = self._fired, -1
        if index >= 0 and index != fired:
            self._run(index)

    def _run(self, index: int) -> None:
        slot = self._track.clip_slots[index]
        command = command_of(slot.clip.name) if slot.has_clip else None
        if command is not None:
            self._press(command)
