"""What was learned, on disk: for the next start."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rwkv_music.atomic_file import replacing
from rwkv_music.errors import RwkvMusicError

from .midi_map import MidiTrigger

LEARNED = "learned.json"  # in the folder of the service
_LEARNED, _CONFIGURED = "learned", "configured"

log = logging.getLogger(__name__)

Triggers = Mapping[str, MidiTrigger]


class LearnedFile:
    """Keeps with it what was configured then: a command whose configuration has changed since, in
    the file or by `--set`, is what the user said last. Never raises."""

    def __init__(self, folder: Path, configured: Triggers) -> None:
        self.path = folder / LEARNED
        self._configured = dict(configured)

    def read(self) -> dict[str, MidiTrigger]:
        """What was learned and still counts."""
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            learned, before = _triggers(told[_LEARNED]), _triggers(told[_CONFIGURED])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RwkvMusicError) as error:
            log.warning("%s: ignored: %s", self.path, error)
            return {}
        changed = {c: t for c, t in self._configured.items() if before.get(c) != t}
        outdone = {
            command: trigger
            for command, trigger in learned.items()
            if self._configured.get(command) != before.get(command)
            or any(trigger.overlaps(other) for other in changed.values())
        }
        for command, trigger in outdone.items():
            log.warning(
                "%s: %s was learned as %s, and is not any more: midi.triggers has changed since",
                self.path,
                trigger,
                command,
            )
        return {c: t for c, t in learned.items() if c not in outdone}

    def keep(self, learned: Triggers) -> None:
        """Write it down."""
        told = {_LEARNED: _texts(learned), _CONFIGURED: _texts(self._configured)}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as part:
                part.write_text(json.dumps(told, indent=1), encoding="utf-8")
        except OSError as error:
            log.warning("%s: cannot be written, it holds until the end: %s", self.path, error)


def _triggers(texts: Any) -> dict[str, MidiTrigger]:
    return {str(command): MidiTrigger.parse(text) for command, text in texts.items()}


def _texts(triggers: Triggers) -> dict[str, str]:
    return {command: str(trigger) for command, trigger in triggers.items()}
