"""What has happened to a transport."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """The music runs, from `beat` on."""

    beat: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """The music stands still at `beat`."""

    beat: float


@dataclass(frozen=True, slots=True)
class Located:
    """The position has jumped to `beat`; bars are numbered anew."""

    beat: float


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """Another source is in charge."""

    name: str


Change = Started | Stopped | Located | SourceChanged
