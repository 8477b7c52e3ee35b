"""The bench that measures the daemon from outside: a JACK server, probes, a synthesizer.

It uses nothing of the daemon's own, so that a fault there cannot hide itself here.
"""

from .frame_probe import FrameProbe
from .jack_server import JackServer
from .loopback import echo, loopback_ms
from .probe import Probe, Sent
from .service import Service, free_udp_port
from .synthesizer import Synthesizer, sound_font

__all__ = [
    "FrameProbe",
    "JackServer",
    "Probe",
    "Sent",
    "Service",
    "Synthesizer",
    "echo",
    "free_udp_port",
    "loopback_ms",
    "sound_font",
]
