"""Commands that get their MIDI messages by being shown them. Pure: told the time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from rwkv_music.timebase import NS_PER_S

from .midi_map import COMMANDS, MidiMap, MidiTrigger

LEARNING_S = 30
CONFIGURED, LEARNED = "configured", "learned"

log = logging.getLogger(__name__)

Told = tuple[Any, ...]  # an address and its arguments


class Kept(Protocol):
    """What has been learned, from one start to the next. Neither raises."""

    def read(self) -> dict[str, MidiTrigger]: ...

    def keep(self, learned: Mapping[str, MidiTrigger]) -> None: ...


class Learning:
    """The map of messages to commands: as configured, and what was learned on top.

    publish sends an event; `kept` is where it is remembered for the next start.
    """

    def __init__(
        self,
        configured: Mapping[str, MidiTrigger],
        publish: Callable[..., None],
        kept: Kept | None = None,
    ) -> None:
        self.map = MidiMap(configured)
        self._configured = dict(configured)
        self._learned = {} if kept is None else kept.read()
        self._publish = publish
        self._kept = kept
        self._command = ""
        self._ends_ns = 0
        self._rebuild()

    def begin(self, now_ns: int, command: str | None = None) -> Iterator[Told]:
        """The next message is this command's; without one, that is called off."""
        self._command = command or ""
        self._ends_ns = now_ns + LEARNING_S * NS_PER_S
        self._publish(*self.state())
        yield self.state()

    def state(self) -> Told:
        """What is being learned, and for how long at most."""
        return "/rwkv/learning", self._command, LEARNING_S if self._command else 0

    def tick(self, now_ns: int) -> None:
        """Whoever has forgotten about it should not lose a note to it."""
        if self._command and now_ns >= self._ends_ns:
            log.info("nothing was pressed for %s", self._command)
            self._end()

    def take(self, message: bytes, now_ns: int) -> bool:
        """Whether this message has been learned just now."""
        self.tick(now_ns)
        trigger = MidiTrigger.learned(message) if self._command else None
        if trigger is None:
            return False
        command = self._command
        kept = {c: t for c, t in self._learned.items() if not t.overlaps(trigger)}
        kept.pop(command, None)
        self._change({**kept, command: trigger})
        self.map.feed(message)  # it is down now, and fires when it comes down again
        self._publish(*self._entry(command))
        self._end()
        return True

    def unlearn(self, now_ns: int, command: str) -> Iterator[Told]:
        """What is configured counts again."""
        if command in self._learned:
            self._change({c: t for c, t in self._learned.items() if c != command})
            self._publish(*self._entry(command))
        yield self._entry(command)

    def entries(self, now_ns: int) -> Iterator[Told]:
        """The messages of all commands that have one."""
        commands = [command for command in COMMANDS if command in self.map.triggers]
        for command in commands:
            yield self._entry(command)
        yield "/rwkv/learn/done", len(commands)

    def _entry(self, command: str) -> Told:
        trigger = self.map.triggers.get(command)
        if trigger is None:
            return "/rwkv/learned", command, "", ""
        source = LEARNED if self._learned.get(command) == trigger else CONFIGURED
        return "/rwkv/learned", command, str(trigger), source

    def _end(self) -> None:
        self._command = ""
        self._publish(*self.state())

    def _change(self, learned: Mapping[str, MidiTrigger]) -> None:
        self._learned = dict(learned)
        self._rebuild()
        if self._kept is not None:
            self._kept.keep(self._learned)
        now = self.map.triggers.items()
        log.info("commands by MIDI: %s", ", ".join(f"{c}: {t}" for c, t in now) or "none")

    def _rebuild(self) -> None:
        self.map.triggers = dict(self._configured)
        for command, trigger in self._learned.items():
            self.map.bind(command, trigger)
