"""Live's transport, told to the service: at once when it changes, and the position steadily."""

from __future__ import annotations

import math
from typing import Any, Callable

from . import constants

_REST_S = 1.0  # between positions while Live stands still: they keep the subscription
_ON_THE_LINE = 0.01  # sixteenths; bars begin on one, and a time may be a hair before one
_SETTINGS = ("tempo", "signature_numerator", "signature_denominator", "is_playing")


class Transport:
    """Listens to a Live song. `send` takes an address and arguments. Live's own thread."""

    def __init__(self, song: Any, send: Callable[..., None]) -> None:
        self._song = song
        self._send = send
        self._told: dict[str, tuple] = {}
        self._position_s = 0.0
        self._plays = False  # as the service has last been told
        self._listeners = {
            "tempo": self._tempo_changed,
            "signature_numerator": self._tell_bar,
            "signature_denominator": self._tell_bar,
            "is_playing": self._playing_changed,
        }
        for name in _SETTINGS:
            getattr(song, f"add_{name}_listener")(self._listeners[name])

    def disconnect(self) -> None:
        """Listen no more. Without a last word the service would play on by its own clock."""
        if self._plays:
            self._send(constants.TRANSPORT_STOP)
        for name in _SETTINGS:
            if getattr(self._song, f"{name}_has_listener")(self._listeners[name]):
                getattr(self._song, f"remove_{name}_listener")(self._listeners[name])

    def tell_all(self) -> None:
        """Tell everything again, to a service that has just come. If Live plays, the positions
        that follow show it; a `play` would jump if the service knew already."""
        self._told.clear()
        self._tempo_changed()
        self._tell_bar()
        self._tell_position()

    def tick(self, now_s: float) -> None:
        """Tell the position: at every call while Live plays, now and then while it does not."""
        self._tell_bar()
        position = (self._song.current_song_time,)
        changed = position != self._told.get(constants.TRANSPORT_POSITION)
        if changed or now_s - self._position_s >= _REST_S:
            self._position_s = now_s
            self._tell_position()

    def _tempo_changed(self) -> None:
        self._tell(constants.TRANSPORT_TEMPO, self._song.tempo)

    def _playing_changed(self) -> None:
        if not self._song.is_playing:
            self._send(constants.TRANSPORT_STOP)
            self._tell_position()
            return
        self._told.clear()
        self._tempo_changed()
        self._tell_bar()
        self._tell_position()  # from where on: it comes before the start
        self._send(constants.TRANSPORT_PLAY)

    def _tell_bar(self) -> None:
        """Tell in which bar of the song we are; before the position, which may have jumped."""
        bar = self._bar()
        if bar is not None and bar == self._bar():  # Live did not move on in between
            self._tell(constants.TRANSPORT_BAR, *bar)

    def _bar(self) -> tuple | None:
        """Its number, the beat on which it begins, its meter; None in a count-in, and where it
        cannot be told just now."""
        song = self._song
        time = song.get_current_beats_song_time()  # all of it from 1, in the meter's beats
        numerator, denominator = song.signature_numerator, song.signature_denominator
        sixteenths = (time.beats - 1) * 16 // denominator + time.sub_division - 1
        since = 4 * song.current_song_time - sixteenths
        line = math.floor(since + _ON_THE_LINE)
        is_sure = line <= since or not sixteenths  # else it is at the end of one, or past it
        if time.bars < 1 or line < 0 or not is_sure:
            return None
        return time.bars - 1, line / 4, numerator, denominator

    def _tell_position(self) -> None:
        self._plays = self._song.is_playing
        beat = self._song.current_song_time
        self._told[constants.TRANSPORT_POSITION] = (beat,)
        if beat >= 0:  # a count-in is before the song
            self._send(constants.TRANSPORT_POSITION, beat)

    def _tell(self, address: str, *values: float) -> None:
        if self._told.get(address) != values:
            self._told[address] = values
            self._send(address, *values)
