"""A pair of MIDI ports on JACK whose times are exact to the frame."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

import jack

from .children import end_with_parent
from .frame_records import HEARD, ORDER, READY, SENT, STALLED, TOLD
from .probe import Sent

_LOOP = Path(__file__).parent / "frame_loop.py"
_WAIT_S, _END_S = 60.0, 5.0
_T = TypeVar("_T")


class FrameProbe:
    """Ports `NAME:in` and `NAME:out` of one JACK client, to be used like a `Probe`. Its times are
    those of `time.monotonic_ns`, as the frames say them; it knows when the server stalled."""

    def __init__(self, env: Mapping[str, str], name: str = "Probe") -> None:
        self.listener, self.player = f"{name}:in", f"{name}:out"
        self._server = env["JACK_DEFAULT_SERVER"]
        self._process = subprocess.Popen(
            [sys.executable, str(_LOOP), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(env),
            preexec_fn=end_with_parent,
        )
        self._sent: deque[Sent] = deque()
        self._heard: deque[tuple[int, bytes]] = deque()
        self._stalls: deque[int] = deque()
        self._unsent = 1  # until the ports are there
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait()

    def __enter__(self) -> FrameProbe:
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
        self._connect(source, self.listener)

    def play_to(self, destination: str) -> None:
        """Connect our player to an existing port."""
        self._connect(self.player, destination)

    def play(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Send each message at its time; returns at once. Times in the past mean now."""
        orders = [ORDER.pack(due_ns, len(message), message) for due_ns, message in messages]
        with self._changed:
            self._unsent += len(orders)
        pipe = self._pipe(self._process.stdin)
        pipe.write(b"".join(orders))
        pipe.flush()

    def wait(self) -> list[Sent]:
        """Wait until all is sent; what was, since the last `wait`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._unsent <= 0, _WAIT_S):
                raise RuntimeError(f"the probe has not done {self._unsent} things; see its stderr")
        return _taken(self._sent)

    def heard(self) -> list[tuple[int, bytes]]:
        """What has arrived since it was last asked."""
        return _taken(self._heard)

    def stalls(self) -> list[int]:
        """When the server missed a period, since it was last asked."""
        return _taken(self._stalls)

    def close(self) -> None:
        """End the process; may be called again."""
        if self._process.poll() is None:
            self._pipe(self._process.stdin).close()  # the loop ends with its orders
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(_END_S)

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        if stream is None:
            raise RuntimeError("the probe has no pipes")
        return stream

    def _connect(self, source: str, destination: str) -> None:
        client = jack.Client("rig", servername=self._server, no_start_server=True)
        try:
            client.connect(source, destination)
        finally:
            client.close()

    def _read(self) -> None:
        records = self._pipe(self._process.stdout)
        while len(record := records.read(TOLD.size)) == TOLD.size:
            kind, at_ns, due_ns, length, raw = TOLD.unpack(record)
            if kind == HEARD:
                self._heard.append((at_ns, raw[:length]))
            elif kind == STALLED:
                self._stalls.append(at_ns)
            elif kind == SENT:
                self._sent.append(Sent(due_ns, at_ns, raw[:length]))
            if kind in (SENT, READY):
                with self._changed:
                    self._unsent -= 1
                    self._changed.notify_all()


def _taken(kept: deque[_T]) -> list[_T]:
    return [kept.popleft() for _ in range(len(kept))]
