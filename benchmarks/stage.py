"""The service on a JACK server of its own, conducted by a probe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from rwkv_music_daemon.osc.client import OscClient

from .events import Events
from .rig import FrameProbe, JackServer, Service, echo, loopback_ms

_LEFT_OUT = "SuspendRefNum error"  # the server has not waited any longer for a client


@dataclass(frozen=True, slots=True)
class Stage:
    """What a performance needs. `loopback_ms`: the median time that a message takes through the
    ports of a program that sends it back in the same period."""

    server: JackServer
    probe: FrameProbe
    loopback_ms: float
    service: Service
    osc: OscClient
    events: Events

    def left_out(self) -> int:
        """How often, so far, the server went on without a client that was not done in time."""
        return self.server.said().count(_LEFT_OUT)

    def errors(self) -> list[str]:
        """What the service has logged as errors."""
        return [line for line in self.service.said().splitlines() if "ERROR" in line]


@contextmanager
def staged(settings: Mapping[str, object], period: int, realtime: bool) -> Iterator[Stage]:
    """A server with so many frames a period, and on it the service with these settings, which
    follows the probe's clock."""
    with JackServer(period=period, realtime=realtime) as server, FrameProbe(server.env) as probe:
        with echo(server, probe):
            loopback = median(loopback_ms(probe))
        with (
            Service(server.env, {"transport.source": "midi_clock", **settings}) as service,
            OscClient(port=service.osc_port, timeout_s=10) as osc,
            Events(service.osc_port) as events,
        ):
            probe.listen_to(server.wait_for_port("RWKV Music Out"))
            probe.play_to(server.wait_for_port("RWKV Music In"))
            yield Stage(server, probe, loopback, service, osc, events)
