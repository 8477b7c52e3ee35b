"""A pair of MIDI ports in a process of its own, which listens and plays to the microsecond.

A measuring loop in the process that it measures would delay what it measures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_LOOP = Path(__file__).parent / "probe_loop.py"


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that a probe sent: when it was to go, and when it went (monotonic ns)."""

    due_ns: int
    sent_ns: int
    message: bytes


class Probe:
    """Ports `NAME Listener:in` and `NAME Player:out` on the JACK server of `env`.

    Times are those of `time.monotonic_ns`, which all processes of a machine share.
    """

    def __init__(self, env: Mapping[str, str], name: str = "Probe") -> None:
        self.listener, self.player = f"{name} Listener:in", f"{name} Player:out"
        self._process = subprocess.Popen(
            [sys.executable, str(_LOOP), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(env),
        )
        self._answer()

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def listen_to(self, source: str) -> None:
        """Connect an existing port to our listener."""
        self._ask("connect", source, self.listener)

    def play_to(self, destination: str) -> None:
        """Connect our player to an existing port."""
        self._ask("connect", self.player, destination)

    def play(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Send each message at its time; returns at once. Times in the past mean now."""
        self._ask("play", [[due_ns, list(message)] for due_ns, message in messages])

    def wait(self) -> list[Sent]:
        """Wait until all is sent; what was, since the last `wait`."""
        return [Sent(due, sent, bytes(raw)) for due, sent, raw in self._ask("wait")]

    def heard(self) -> list[tuple[int, bytes]]:
        """What has arrived since it was last asked."""
        return [(t_ns, bytes(raw)) for t_ns, raw in self._ask("heard")]

    def close(self) -> None:
        """End the process; may be called again."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()  # the loop ends with its orders
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, *order: object) -> list[list]:
        if self._process.stdin is None:
            raise RuntimeError("the probe has no orders' pipe")
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> list[list]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"the probe ended with {self._process.wait()}; see its stderr")
        answer = json.loads(line)
        if isinstance(answer, str):
            raise RuntimeError(f"the probe says: {answer}")
        return answer
