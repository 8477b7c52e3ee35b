"""What one of our ports is to be connected to. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

MOST_KEPT = 64  # names of programs that come and go with a number in them are many


class Patch:
    """Connected, whenever they are there and are not, are the ports whose full names hold one of
    `names`. Connected when they come back are those that were connected until they, or we, went
    away; what somebody disconnects is left so.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = tuple(names)
        self._kept: dict[str, None] = {}  # connected, or so when they were last there
        self._there: frozenset[str] = frozenset()
        self._loose: frozenset[str] = frozenset()

    @property
    def kept(self) -> tuple[str, ...]:
        """Full names of the ports that are connected, or were until they went away."""
        return tuple(self._kept)

    def keep(self, others: Iterable[str]) -> None:
        """Take these for connected until just now."""
        for other in others:
            self._kept.pop(other, None)
            self._kept[other] = None
        for other in [*self._kept][:-MOST_KEPT]:
            del self._kept[other]

    def begin(self) -> None:
        """Our port is another one, and connected to nothing."""
        self._there = self._loose = frozenset()

    def look(self, there: Sequence[str], connected: Collection[str]) -> list[str]:
        """What to connect now, of the ports that are there, given those that are connected."""
        here = frozenset(there)
        loose = (here & self._there & self._kept.keys()) - frozenset(connected)
        # A program that ends disconnects its ports a moment before it takes them away.
        for other in loose & self._loose:
            del self._kept[other]
        self._loose = loose
        self.keep(other for other in there if other in connected)
        back = self._kept.keys() & (here - self._there)
        self._there = here
        return [o for o in there if o not in connected and (o in back or self._is_named(o))]

    def missed(self, other: str) -> None:
        """It could not be connected: it counts as not having come yet."""
        self._there -= {other}

    def _is_named(self, other: str) -> bool:
        return any(is_meant(name, other) for name in self._names)


def is_meant(name: str, port: str) -> bool:
    """Whether a port of that full name is one that `name` asks for."""
    return name.casefold() in port.casefold()
