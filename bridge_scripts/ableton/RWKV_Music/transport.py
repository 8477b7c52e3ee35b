"""Live's transport, told to the service: at once when it changes, and the position steadily."""

from __future__ import annotations

from typing import Any, Callable

from . import constants

_REST_S = 1.0  # between positions while Live stands still: they keep the subscription
_SETTINGS = ("tempo", "signature_numerator", "signature_denominator", "is_playing")


class Transport:
    """Listens to a Live song. `send` takes an address and arguments. Live's own thread."""

    def __init__(self, song: Any, send: Callable[..., None]) -> None:
        self._song = song
        self._send = send
        self._told: dict[str, tuple] = {}
        self._position_s = 0.0
        self._listeners = {
            "tempo": self._tempo_changed,
            "signature_numerator": self._meter_changed,
            "signature_denominator": self._meter_changed,
            "is_playing": self._playing_changed,
        }
        for name in _SETTINGS:
            getattr(song, f"add_{name}_listener")(self._listeners[name])

    def disconnect(self) -> None:
        """Listen no more."""
        for name in _SETTINGS:
            if getattr(self._song, f"{name}_has_listener")(self._listeners[name]):
                getattr(self._song, f"remove_{name}_listener")(self._listeners[name])

    def tell_all(self) -> None:
        """Tell everything again, to a service that has just come. If Live plays, the positions
        that follow show it; a `play` would jump if the service knew already."""
        self._told.clear()
        self._tempo_changed()
        self._meter_changed()
        self._tell_position()

    def tick(self, now_s: float) -> None:
        """Tell the position: at every call while Live plays, now and then while it does not."""
        position = (self._song.current_song_time,)
        changed = position != self._told.get(constants.TRANSPORT_POSITION)
        if changed or now_s - self._position_s >= _REST_S:
            self._position_s = now_s
            self._tell_position()

    def _tempo_changed(self) -> None:
        self._tell(constants.TRANSPORT_TEMPO, self._song.tempo)

    def _meter_changed(self) -> None:
        song = self._song
        self._tell(constants.TRANSPORT_METER, song.signature_numerator, song.signature_denominator)

    def _playing_changed(self) -> None:
        if not self._song.is_playing:
            self._send(constants.TRANSPORT_STOP)
            self._tell_position()
            return
        self._told.clear()
        self._tempo_changed()
        self._meter_changed()
        self._tell_position()  # from where on: it comes before the start
        self._send(constants.TRANSPORT_PLAY)

    def _tell_position(self) -> None:
        beat = self._song.current_song_time
        self._told[constants.TRANSPORT_POSITION] = (beat,)
        if beat >= 0:  # a count-in is before the song
            self._send(constants.TRANSPORT_POSITION, beat)

    def _tell(self, address: str, *values: float) -> None:
        if self._told.get(address) != values:
            self._told[address] = values
            self._send(address, *values)
