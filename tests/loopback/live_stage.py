"""The real service between a probe and an OSC client, and what the tests ask of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rwkv_music_daemon.osc.client import OscClient

from benchmarks.events import Events
from benchmarks.rig import JackServer, Probe, Service

WITHIN_S = 20.0  # patience, not a limit that is asserted
NOTE_ON, NOTE_OFF, CONTROL, PEDAL = 0x90, 0x80, 0xB0, 64


@dataclass(slots=True)
class Stage:
    """A service that is up; its ports are connected to the probe's."""

    server: JackServer
    probe: Probe
    service: Service
    osc: OscClient
    events: Events

    def send(self, *messages: bytes, gap_ns: int = 2_000_000) -> None:
        """Let the player play these, one after the other; returns when they have gone."""
        now_ns = time.monotonic_ns()
        self.probe.play((now_ns + k * gap_ns, m) for k, m in enumerate(messages))
        self.probe.wait()

    def start_note(self) -> int:
        """Trigger, and return with the request's number while its first note sounds."""
        request, _ = self.osc.request("/rwkv/trigger")[-1].args
        self.events.wait_for("/rwkv/note/played", lambda m: m.args[0] == request, WITHIN_S)
        time.sleep(0.05)  # the note is still on its way through JACK
        return int(request)

    def reconnect(self) -> None:
        """Connect the probe to the ports again, which a new io process has made."""
        self.probe.listen_to(self.server.wait_for_port("RWKV Music Out", WITHIN_S))
        self.probe.play_to(self.server.wait_for_port("RWKV Music In", WITHIN_S))

    def wait_for_connections(self) -> None:
        """Return when the service has connected its ports to the probe's again."""
        for ours, theirs in (
            ("RWKV Music In", self.probe.player),
            ("RWKV Music Out", self.probe.listener),
        ):
            wait_for(lambda o=ours, t=theirs: t in self.server.peers(o), f"{ours} is not connected")

    def wait_until_answers(self) -> None:
        """Return when a ping is answered."""
        wait_for(lambda: self._pongs(), "no pong came")

    def _pongs(self) -> bool:
        self.osc.send("/rwkv/ping", "here")
        return any(m.address == "/rwkv/pong" for m in iter(lambda: self.osc.receive(0.2), None))


@contextlib.contextmanager
def live_stage(server: JackServer, **settings: object) -> Iterator[Stage]:
    """A slow service (a note is nearly a second long), so that a test is always in mid-note, in
    short bars, so that it does not wait long for a line."""
    chosen = {
        "transport.tempo_bpm": 60,
        "transport.source": "internal",
        "transport.meter": "2/4",
        "generation.bars": 8,
    }
    chosen |= {name.replace("__", "."): value for name, value in settings.items()}
    with (
        Probe(server.env) as probe,
        Service(server.env, chosen) as service,
        OscClient(port=service.osc_port, timeout_s=WITHIN_S) as osc,
        Events(service.osc_port) as events,
    ):
        stage = Stage(server, probe, service, osc, events)
        stage.reconnect()
        yield stage


def wait_for(is_so: Callable[[], object], complaint: str, within_s: float = WITHIN_S) -> float:
    """Return the seconds that it took; fails with the complaint when it takes too long."""
    start_s = time.monotonic()
    while not is_so():
        if time.monotonic() - start_s > within_s:
            raise AssertionError(f"{complaint} within {within_s:g} s")
        time.sleep(0.01)
    return time.monotonic() - start_s


def sounding(heard: list[tuple[int, bytes]]) -> set[tuple[int, int]]:
    """What was struck and not released, as (channel, pitch)."""
    struck: set[tuple[int, int]] = set()
    for _, message in heard:
        status, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        if status == NOTE_ON and message[2]:
            struck.add(key)
        elif status in (NOTE_ON, NOTE_OFF):
            struck.discard(key)
    return struck


def note_ons(heard: list[tuple[int, bytes]]) -> list[int]:
    """Pitches in the order in which they were struck."""
    return [m[1] for _, m in heard if m[0] & 0xF0 == NOTE_ON and m[2]]
