"""The connections in JACK."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import threading
from typing import Any

from rwkv_music.errors import PortError

log = logging.getLogger(__name__)

_PLACES = 8  # file descriptors kept for the client
_CLOSE_S = 1.0


class JackGraph:
    """Asks through one quiet client, which is never activated. When the server goes, this knows
    nothing any more, also if another server comes. Without the package JACK-Client it never knows
    anything.

    When this process is killed, JACK drops its clients one after the other, and waits half a
    second with each while an active one that died is still to be dropped: this client should be
    the last. So it comes with the first question, after the ports, and gets lower file descriptors
    than theirs, as the kernel closes the highest first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = threading.Event()
        self._jack = _library()
        self._client: Any = None
        self._period: int | None = None  # when the last one began, in frames
        self._places = [os.open(os.devnull, os.O_RDONLY) for _ in range(_PLACES)]

    def _ask(self) -> Any:
        """The client, or None; under the lock."""
        if self._client is None and self._jack is not None and not self._gone.is_set():
            self._give_places()
            try:
                self._client = self._jack.Client("RWKV Music Watch", no_start_server=True)
            except self._jack.JackError as error:
                log.warning("jack: the server does not answer: %s", error)
                self._gone.set()
            else:
                self._client.set_shutdown_callback(self._on_shutdown)
                self._period = int(self._client.last_frame_time)
        return None if self._gone.is_set() else self._client

    def _give_places(self) -> None:
        while self._places:
            os.close(self._places.pop())

    def peers(self, full_name: str) -> tuple[str, ...]:
        with self._lock:
            client = self._ask()
            if client is None:
                return ()
            try:
                port = client.get_port_by_name(full_name)
                return tuple(other.name for other in client.get_all_connections(port))
            except (self._jack.JackError, UnicodeDecodeError):  # JACK takes any bytes for a name
                return ()

    def connect(self, source: str, destination: str) -> None:
        if self._jack is None:
            raise PortError("jack: connecting ports needs JACK-Client: pip install JACK-Client")
        # By a client of its own and without the lock: the server may let us wait, and who asks for
        # connections must not wait for that.
        try:
            client = self._jack.Client("RWKV Music Patch", no_start_server=True)
        except self._jack.JackError as error:
            raise PortError(f"jack: cannot connect {source!r}: {error}") from error
        gone = threading.Event()
        client.set_shutdown_callback(lambda status, reason: gone.set())
        try:
            for name in (source, destination):
                client.get_port_by_name(name)
            client.connect(source, destination)
        except self._jack.JackError as error:
            if abs(getattr(error, "code", 0)) != errno.EEXIST:
                raise PortError(
                    f"jack: cannot connect {source!r} to {destination!r}: {error}"
                ) from error
        finally:
            if gone.is_set():
                abandon(client)
            else:
                close(client)

    def alive(self) -> bool:
        with self._lock:
            self._ask()
        return not self._gone.is_set()

    def period(self) -> int | None:
        client = self._client  # without the lock: who sends must not wait for an answer
        if client is not None and not self._gone.is_set():
            self._period = int(client.last_frame_time)
        return self._period

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            if client is not None and not self._gone.is_set():
                close(client)
            self._give_places()
            self._gone.set()

    def _on_shutdown(self, status: object, reason: str) -> None:
        log.warning("jack: the server has gone: %s", reason)
        self._gone.set()
        abandon(self._client)


def close(client: Any) -> None:
    """Close a client, or leave it when that fails or does not end: libjack waits for ever now and
    then where the server is just telling it of a port that has gone."""
    closed = threading.Event()

    def try_to() -> None:
        if client.close() is not False:  # ours says so; JACK-Client's returns nothing
            closed.set()

    closing = threading.Thread(target=try_to, name="jack close", daemon=True)
    closing.start()
    closing.join(_CLOSE_S)
    if not closed.is_set():
        log.debug("jack: %r does not close: left as it is", client)
        abandon(client)


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
        client = jack.Client("RWKV Music Probe", no_start_server=True)
    except jack.JackError:
        return True
    close(client)
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
