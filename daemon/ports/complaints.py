"""What goes wrong again and again, told now and then."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Complaints:
    """Logs what the driver says the first time, and then at every tenfold."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.count = 0

    def __call__(self, kind: int | None, message: str, data: object = None) -> None:
        self.count += 1
        if str(self.count).strip("0") == "1":
            log.warning("%s: %s (%d so far)", self._name, message, self.count)
