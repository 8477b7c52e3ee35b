"""Makes the connections that our ports should have, and makes them again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rwkv_music.errors import PortError

from .base import Connectable
from .patch import Patch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Missing:
    """A connection that should be there."""

    ours: Connectable
    other: str
    patch: Patch


class Patchbay:
    """`look` now and then, from one thread. Connecting may wait for the MIDI system, so it is done
    by another. Nothing raises."""

    def __init__(self, connect_from: Iterable[str] = (), connect_to: Iterable[str] = ()) -> None:
        # What the input hears, its clock's port, and what the output plays to.
        self._patches = Patch(connect_from), Patch(), Patch(connect_to)
        self._lines: tuple[tuple[Connectable, Patch], ...] = ()
        self._alive: Callable[[], bool] = lambda: False
        self._thread: threading.Thread | None = None
        self._refused: set[tuple[str, str]] = set()

    @property
    def kept(self) -> tuple[tuple[str, ...], ...]:
        """Full names of the sources of the input, those of the clock's, and the destinations, that
        are connected or were until they went away."""
        return tuple(patch.kept for patch in self._patches)

    def keep(self, *patches: Iterable[str]) -> None:
        """Connect these, in that order, when they are there."""
        for patch, others in zip(self._patches, patches, strict=True):
            patch.keep(others)
            patch.begin()

    def begin(
        self,
        input_: Connectable,
        clock_input: Connectable | None,
        output: Connectable,
        alive: Callable[[], bool],
    ) -> None:
        """These ports are ours now, on a MIDI system that may cease to be alive."""
        ports = input_, clock_input, output
        self._lines = tuple((p, patch) for p, patch in zip(ports, self._patches, strict=True) if p)
        self._alive = alive
        for patch in self._patches:
            patch.begin()

    def end(self) -> None:
        """Our ports are going."""
        self._lines = ()

    def look(self) -> None:
        """See who has come and who has gone, and connect what should be connected."""
        if self._thread is not None and self._thread.is_alive():
            return
        own = {ours.full_name for ours, _ in self._lines}
        # Who is connected first: who goes in between is not taken for disconnected then.
        seen = [(ours, patch, ours.connections(), ours.others()) for ours, patch in self._lines]
        if not self._lines or not self._alive():
            return  # what it has said is not to be trusted
        missing = [
            _Missing(ours, other, patch)
            for ours, patch, connected, others in seen
            for other in patch.look([name for name in others if name not in own], connected)
        ]
        if missing:
            self._thread = threading.Thread(target=self._connect, args=(missing,), name="patchbay")
            self._thread.daemon = True  # a MIDI system that hangs must not keep us
            self._thread.start()

    def _connect(self, missing: Iterable[_Missing]) -> None:
        for line in missing:
            place = (line.ours.name, line.other)
            try:
                line.ours.connect(line.other)
            except PortError as error:
                line.patch.missed(line.other)
                if place not in self._refused:
                    log.warning("%s", error)
                self._refused.add(place)
            else:
                self._refused.discard(place)
                log.info("connected %s and %s", *place)
