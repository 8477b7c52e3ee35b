"""Who was playing to whom, on disk: for when everything is killed at once and nobody can end the
notes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from rwkv_music.atomic_file import replacing

from .messages import Connections

RECORD = "destinations-{}.json"  # in the folder of the service, for an OSC port

log = logging.getLogger(__name__)


class Record:
    """The destinations of the output of the service at this OSC port; one at a time can be there.
    Of services at any free port (0) there may be several, so that a record could be that of one
    that plays: they have none. Never raises."""

    def __init__(self, folder: Path, osc_port: int) -> None:
        self._is_ours = osc_port != 0
        self._path = folder / RECORD.format(osc_port)

    def read(self) -> Connections | None:
        """What a service that was killed has left behind."""
        if not self._is_ours:
            return None
        try:
            record = json.loads(self._path.read_text(encoding="utf-8"))
            return Connections(str(record["api"]), tuple(map(str, record["destinations"])))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s: ignored: %s", self._path, error)
            return None

    def keep(self, connections: Connections) -> None:
        """Write it down, or nothing when there are no destinations."""
        if not self._is_ours:
            return
        if not connections.destinations:
            self.drop()
            return
        record = {"api": connections.api, "destinations": connections.destinations}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as part:
                part.write_text(json.dumps(record), encoding="utf-8")
        except OSError as error:
            log.warning("%s: cannot be written: %s", self._path, error)

    def drop(self) -> None:
        """Everything is silent."""
        if not self._is_ours:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: cannot be removed: %s", self._path, error)
