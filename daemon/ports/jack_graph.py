"""The connections in JACK."""

from __future__ import annotations

import ctypes
import logging
import threading
from typing import Any

from rwkv_music.errors import PortError

log = logging.getLogger(__name__)


class JackGraph:
    """Asks through one quiet client, which is never activated. When the server goes, this knows
    nothing any more, also if another server comes. Without the package JACK-Client it never knows
    anything. Raises PortError when there is no server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = threading.Event()
        self._jack = _library()
        self._client: Any = None
        self._period: int | None = None  # when the last one began, in frames
        if self._jack is not None:
            try:
                self._client = self._jack.Client("RWKV Music Watch", no_start_server=True)
            except self._jack.JackError as error:
                raise PortError(f"jack: the server does not answer: {error}") from error
            self._client.set_shutdown_callback(self._on_shutdown)
            self._period = int(self._client.last_frame_time)

    def listeners(self, full_name: str) -> tuple[str, ...]:
        with self._lock:
            if self._client is None or self._gone.is_set():
                return ()
            try:
                port = self._client.get_port_by_name(full_name)
                return tuple(other.name for other in self._client.get_all_connections(port))
            except self._jack.JackError:
                return ()

    def connect(self, source: str, destination: str) -> None:
        with self._lock:
            if self._jack is None:
                raise PortError("jack: connecting ports needs JACK-Client: pip install JACK-Client")
            if self._client is None or self._gone.is_set():
                raise PortError(f"jack: cannot connect {source!r}: the server has gone")
            try:
                target = self._client.get_port_by_name(destination)
                port = self._client.get_port_by_name(source)
                if target not in self._client.get_all_connections(port):
                    self._client.connect(source, destination)
            except self._jack.JackError as error:
                raise PortError(
                    f"jack: cannot connect {source!r} to {destination!r}: {error}"
                ) from error

    def alive(self) -> bool:
        return not self._gone.is_set()

    def period(self) -> int | None:
        with self._lock:
            if self._client is not None and not self._gone.is_set():
                self._period = int(self._client.last_frame_time)
            return self._period

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            if client is not None and not self._gone.is_set():
                client.close()

    def _on_shutdown(self, status: object, reason: str) -> None:
        log.warning("jack: the server has gone: %s", reason)
        self._gone.set()
        abandon(self._client)


def abandon(client: object) -> None:
    """Leave a client whose server has gone as it is, for good: closing it, or letting it be
    collected, ends this process with a segmentation fault inside libjack."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))


def no_server() -> bool:
    """Whether it is certain that no JACK server runs; asked quietly, as rtmidi's own libjack
    writes to stderr when there is none."""
    jack = _library()
    if jack is None:
        return False
    try:
        jack.Client("RWKV Music Probe", no_start_server=True).close()
    except jack.JackError:
        return True
    return False


def _library() -> Any:
    try:
        import jack
    except (ImportError, OSError):  # OSError: the package is there, the library is not
        return None
    # The C library writes to stderr by itself otherwise.
    jack.set_error_function(lambda text: log.debug("jack: %s", text))
    jack.set_info_function(lambda text: log.debug("jack: %s", text))
    return jack
