"""Who is connected to whom: asked of a MIDI system beside the ports themselves."""

from __future__ import annotations

from typing import Protocol

from rwkv_music.errors import PortError


class Graph(Protocol):
    """The connections of a machine's MIDI system. Any thread."""

    def peers(self, full_name: str) -> tuple[str, ...]:
        """Full names of the ports connected to that one; none when that cannot be found out."""
        ...

    def connect(self, source: str, destination: str) -> None:
        """Connect two ports by full name; already connected is fine. Raises PortError."""
        ...

    def alive(self) -> bool:
        """Whether the system still answers."""
        ...

    def period(self) -> int | None:
        """Another number whenever the system has taken what was sent; None when it takes
        everything at once, or that cannot be found out."""
        ...

    def close(self) -> None: ...


class NoGraph:
    """For systems that do not tell: CoreMIDI and Windows."""

    def peers(self, full_name: str) -> tuple[str, ...]:
        return ()

    def connect(self, source: str, destination: str) -> None:
        raise PortError(
            f"cannot connect {source!r} to {destination!r}: on this system ports are connected by "
            "the programs that use them"
        )

    def alive(self) -> bool:
        return True

    def period(self) -> None:
        return None

    def close(self) -> None:
        pass
