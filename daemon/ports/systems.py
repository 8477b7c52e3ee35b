"""Which MIDI system of the machine is used, and through what."""

from __future__ import annotations

import logging

from rwkv_music.errors import PortError

from ..clock import Clock
from . import jack_extension, jack_system, rtmidi
from .apis import APIS, apis_here
from .base import MidiSystem

log = logging.getLogger(__name__)


def unavailable(api: str) -> str | None:
    """Why that API cannot be used here, or None when it can."""
    if api == "jack" and jack_extension.module is not None:
        return jack_system.unavailable()
    return rtmidi.unavailable(api)


def open_system(api: str, clock: Clock) -> MidiSystem:
    """The MIDI system of that name, or with `auto` the first that works, which is logged. Raises
    PortError."""
    if api != "auto":
        return _open(api, clock)
    reasons = []
    for candidate in apis_here():
        try:
            system = _open(candidate, clock)
        except PortError as error:
            reasons.append(str(error))
        else:
            log.info("midi.api: auto took %s", candidate)
            return system
    raise PortError("midi.api: no MIDI system is available; " + "; ".join(reasons))


def _open(api: str, clock: Clock) -> MidiSystem:
    if api not in APIS:
        raise PortError(f"midi.api: got {api!r}, expected auto or one of {', '.join(APIS)}")
    if api != "jack":
        return rtmidi.RtMidiSystem(api, clock)
    if jack_extension.module is not None:
        return jack_system.JackSystem()
    system = rtmidi.RtMidiSystem(api, clock)
    log.warning(
        "jack: notes leave with the next period and not with their frame: %s; %s",
        jack_extension.absence,
        jack_extension.remedy,
    )
    return system
