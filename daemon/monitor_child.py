"""The web page's process as the supervisor sees it: it is started again, and that is all."""

from __future__ import annotations

import logging
import subprocess

from .boot import Boot, start_child

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_STEADY_S = 30.0
_STOP_S = 1.0

log = logging.getLogger(__name__)


class MonitorChild:
    """Running, or to be started when the next look is late enough."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = self._start_s = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def look(self, now_s: float) -> None:
        """Start it, or start it again, each time after a longer pause."""
        process = self._process
        if process is not None:
            code = process.poll()
            if code is None:
                return
            log.warning("the web page's process ended with code %d: see above", code)
            self._forget(process)
            if now_s - self._started_s > _STEADY_S:
                self._pause_s = _FIRST_PAUSE_S
            self._put_off(now_s)
        if now_s < self._start_s:
            return
        try:
            self._process = start_child("monitor_process", self._boot, keeps_pipe=True)
            self._started_s = now_s
        except OSError as error:
            log.warning("the web page's process cannot be started: %s", error)
            self._put_off(now_s)

    def end(self) -> None:
        """Its pipe closes, and it ends; or it is ended."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        self._process = None

    def _put_off(self, now_s: float) -> None:
        self._start_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
