"""The service's events with the times of their arrival, kept by a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from rwkv_music_daemon.osc.client import OscClient
from rwkv_music_daemon.osc.framing import Message

_LOOK_S = 0.2
_RENEW_S = 20.0

Event = tuple[int, Message]  # monotonic ns, what


class Events:
    """Subscribes, and remembers everything. Use it as a context manager."""

    def __init__(self, osc_port: int) -> None:
        self._client = OscClient(port=osc_port)
        self._events: list[Event] = []
        self._came = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Events:
        self._thread.start()
        self.wait_for("/rwkv/worker", timeout_s=5)  # the current values come at once
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        self._thread.join(2)
        self._client.close()

    def of(self, address: str) -> list[Event]:
        """All events of this address so far."""
        with self._came:
            return [event for event in self._events if event[1].address == address]

    def forget(self) -> None:
        """Let it be as if nothing had come yet."""
        with self._came:
            self._events.clear()

    def wait_for(
        self,
        address: str,
        fits: Callable[[Message], bool] = lambda message: True,
        timeout_s: float = 10.0,
    ) -> Event:
        """The first event that fits, also when it has come already. Raises TimeoutError."""

        def found() -> Event | None:
            same = (event for event in self._events if event[1].address == address)
            return next((event for event in same if fits(event[1])), None)

        with self._came:
            if not self._came.wait_for(lambda: found() is not None, timeout_s):
                told = [event[1] for event in self._events[-8:]]
                raise TimeoutError(f"no {address} within {timeout_s:g} s; the last were {told}")
            event = found()
        if event is None:
            raise TimeoutError(address)
        return event

    def _listen(self) -> None:
        self._client.subscribe()
        renewal_s = time.monotonic() + _RENEW_S
        while not self._ending:
            if time.monotonic() >= renewal_s:
                self._client.send("/rwkv/ping")  # to subscribe again would bring old values
                renewal_s = time.monotonic() + _RENEW_S
            message = self._client.receive(_LOOK_S)
            if message is not None:
                with self._came:
                    self._events.append((time.monotonic_ns(), message))
                    self._came.notify_all()
