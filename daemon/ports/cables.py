"""How one of our ports is connected to those of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from .graph import Graph


class Closable(Protocol):
    """What becomes of an end."""

    @property
    def name(self) -> str: ...

    def close(self) -> None: ...


End = TypeVar("End", bound=Closable)
End_co = TypeVar("End_co", bound=Closable, covariant=True)


class Cables(Protocol[End_co]):
    """The connections of one of our ports."""

    @property
    def ends(self) -> tuple[End_co, ...]:
        """Ports of ours that take the place of connections: to be polled, or sent to, as well."""
        ...

    def connected(self) -> tuple[str, ...]:
        """Full names of the ports at the other ends, as far as the system tells."""
        ...

    def connect(self, other: str) -> None:
        """Raises PortError."""
        ...

    def close(self) -> None: ...


class SystemCables(Generic[End]):
    """Where the system connects ports, and anybody may: ALSA and JACK."""

    def __init__(self, graph: Graph, full_name: str, *, plays: bool) -> None:
        self._graph = graph
        self._full_name = full_name
        self._plays = plays

    ends: tuple[End, ...] = ()

    def connected(self) -> tuple[str, ...]:
        return self._graph.peers(self._full_name) if self._full_name else ()

    def connect(self, other: str) -> None:
        ends = (self._full_name, other) if self._plays else (other, self._full_name)
        self._graph.connect(*ends)

    def close(self) -> None:
        """They go with the port."""


class OwnCables(Generic[End]):
    """Where a program connects its own ports only: CoreMIDI and Windows. A port more of ours is
    opened for each. `taken` is the other's port that ours is itself, on Windows."""

    def __init__(
        self,
        open_end: Callable[[str], End],
        there: Callable[[], tuple[str, ...]],
        taken: tuple[str, ...] = (),
    ) -> None:
        self._open = open_end
        self._there = there
        self._taken = taken
        self._leaving: tuple[End, ...] = ()
        self.ends: tuple[End, ...] = ()

    def connected(self) -> tuple[str, ...]:
        if self.ends:
            self._drop(set(self._there()))
        return (*self._taken, *(end.name for end in self.ends))

    def connect(self, other: str) -> None:
        self.ends = (*self.ends, self._open(other))

    def close(self) -> None:
        ends, self.ends, self._leaving = (*self.ends, *self._leaving), (), ()
        for end in ends:
            end.close()

    def _drop(self, there: set[str]) -> None:
        """Let go of those that are not there any more; one call later, as another thread may be
        sending to them."""
        for end in self._leaving:
            end.close()
        self._leaving = tuple(end for end in self.ends if end.name not in there)
        self.ends = tuple(end for end in self.ends if end.name in there)
