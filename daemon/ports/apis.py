"""The MIDI systems by name: which a platform may have, and what to do where one is missing."""

from __future__ import annotations

import sys

CLIENT_NAME = "RWKV Music"
NO_VIRTUAL_PORTS = ("winmm",)
REMEDIES = {
    "alsa": "load the kernel module snd-seq (sudo modprobe snd-seq)",
    "jack": "start a JACK server, or run this under pw-jack where PipeWire is the server",
    "coremidi": "this is only there on macOS",
    "winmm": "this is only there on Windows",
}
APIS = tuple(REMEDIES)
_APIS_OF = {"linux": ("alsa", "jack"), "darwin": ("coremidi", "jack"), "win32": ("winmm",)}


def apis_here() -> tuple[str, ...]:
    """The MIDI systems that this platform may have, in the order in which `auto` tries them."""
    return _APIS_OF.get(sys.platform, APIS)
