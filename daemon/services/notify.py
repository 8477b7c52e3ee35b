"""systemd's notification protocol, sd_notify(3): up, alive, at its end. Elsewhere nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

_SOCKET, _WATCHDOG_US, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"

log = logging.getLogger(__name__)


class Notifier:
    """Takes its place from the environment, and takes it out of there, so that children do not
    speak for us. Without one, or when nobody listens there, nothing happens. Never raises."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        path = environ.pop(_SOCKET, "")
        period_us = environ.pop(_WATCHDOG_US, "")
        pid = environ.pop(_WATCHDOG_PID, "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._is_watched = period_us.isdecimal() and pid in ("", str(os.getpid()))

    def ready(self, status: str) -> None:
        self._tell("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        self._tell(f"STATUS={status}")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self._is_watched:
            self._tell("WATCHDOG=1")

    def ending(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
                told.setblocking(False)
                told.connect(self._address)
                told.send("\n".join(line.replace("\n", " ") for line in lines).encode())
        except OSError as error:
            log.warning("the service manager does not listen: %s", error)
