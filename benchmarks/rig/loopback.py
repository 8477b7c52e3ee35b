"""What the rig itself adds to every figure."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .children import end_with_parent
from .frame_probe import FrameProbe
from .jack_server import JackServer
from .probe import Probe

_ECHO = Path(__file__).parent / "echo_ports.py"
_END_S = 5.0


def loopback_ms(probe: Probe | FrameProbe, count: int = 200, gap_ms: float = 5.3) -> list[float]:
    """Milliseconds from send to arrival of `count` messages, with the player connected to the
    listener, or to something that sends all of it back. Sorted. The gap is no whole number of
    usual periods: so the messages are sent at all places in one."""
    probe.heard()
    start_ns = time.monotonic_ns() + 50_000_000
    probe.play(
        (start_ns + int(k * gap_ms * 1e6), bytes((0xB0, 20 + k // 128, k % 128)))
        for k in range(count)
    )
    sent = {record.message: record.sent_ns for record in probe.wait()}
    time.sleep(0.1)
    return sorted((t - sent[m]) / 1e6 for t, m in probe.heard() if m in sent)


@contextmanager
def echo(server: JackServer, probe: FrameProbe, name: str = "Echo") -> Iterator[None]:
    """Ports of a program that sends back what it hears in the same period, connected to the
    probe."""
    process = subprocess.Popen(
        [sys.executable, str(_ECHO), name],
        stdin=subprocess.PIPE,
        env=server.env,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,
    )
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the echo did not come up; see its stderr")
        # Only now: a server may stumble over a cable to a client that is still being made.
        probe.play_to(server.wait_for_port(f"{name}:in"))
        probe.listen_to(server.wait_for_port(f"{name}:out"))
        yield
    finally:
        process.communicate(timeout=_END_S)
