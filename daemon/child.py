"""A process of the service as the supervisor sees it: alive, hung, dead, to be started again."""

from __future__ import annotations

import contextlib
import logging
import subprocess

from rwkv_music.errors import WorkerError

from .boot import Boot, start_child
from .links import Link
from .messages import Failed, Message

_HUNG_S = 5.0
_LOADING_S = 120.0  # a large model on a slow disk; it answers nothing meanwhile
_LAST_BREATH_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 10.0
_STEADY_S = 30.0  # who has run so long has not crashed at once

log = logging.getLogger(__name__)


class Child:
    """One of the processes: running, or to be started again at `start_s`."""

    def __init__(self, name: str, module: str) -> None:
        self.name = name
        self._module = module
        self.failed: Failed | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Link | None = None
        self.start_s = 0.0
        self.answered_s = 0.0
        self.serves = False  # it has done what it does before it can answer
        self.has_progressed = False  # since the watchdog was fed
        self.is_lost = False  # its link has ended, so that it is of no use any more
        self._pause_s = _FIRST_PAUSE_S
        self._started_s = 0.0

    def start(self, boot: Boot, now_s: float) -> bool:
        """False when the system refuses a process now; `failed` says why, `start_s` when next."""
        self._started_s = self.answered_s = now_s
        self.serves = self.is_lost = False
        self.failed = None
        try:
            self.process = start_child(self._module, boot)
        except OSError as error:
            self.failed = Failed(1, f"{self.name} cannot be started: {error}")
            log.error("%s", self.failed.message)
            self.bury(now_s)
            return False
        return True

    def is_dead(self) -> bool:
        return self.process is not None and (self.is_lost or self.process.poll() is not None)

    def is_hung(self, now_s: float) -> bool:
        limit_s = _HUNG_S if self.serves else _LOADING_S
        return self.process is not None and now_s - self.answered_s > limit_s

    def send(self, message: Message) -> None:
        """Whoever does not take it is dead, which `is_dead` will tell."""
        if self.link is not None:
            try:
                self.link.send(message)
            except WorkerError:
                log.debug("%s takes no more messages", self.name)

    def bury(self, now_s: float) -> int | None:
        """Make sure that it is gone, and set when it may come back; its exit code."""
        code = None
        if self.process is not None:
            if self.is_lost:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(_LAST_BREATH_S)
            self.process.kill()
            code = self.process.wait()
        if self.link is not None:
            self.link.close()
        self.process = self.link = None
        steady = now_s - self._started_s > _STEADY_S
        self._pause_s = _FIRST_PAUSE_S if steady else min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self.start_s = now_s + self._pause_s
        return code
