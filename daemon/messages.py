"""Everything that the processes say to each other: frozen dataclasses.

Bars and steps are counted as in `assembler`: `bar` is the serial number of a bar heard, ascending
for ever, while the transport's bars begin anew after a locate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NoteTuple = tuple[int, int, int, int]  # onset, pitch, velocity, duration in steps
Place = tuple[int, int]  # a bar of a completion, from 0, and a step in it
HeardTuple = tuple[int, int, int, int, bool]  # the same, and whether the key is still down


@dataclass(frozen=True, slots=True)
class Hear:
    """io to worker: all that is known of a bar so far."""

    bar: int
    meter: str
    tempo_bpm: float
    notes: tuple[HeardTuple, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class Unhear:
    """io to worker: these bars, heard lately, have not been."""

    bars: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Generate:
    """io to worker: continue from the live state, from `first_step` of bar `bar` on: a take a seed,
    of which the first is proposed.

    `until` is a bar of the completion, from 0, and a step in it: nothing at or beyond it is
    generated before an Allow. `wishes` are all parameters, of which the worker takes what concerns
    sampling. What another completion still has to do comes first: it sounds before this one.
    What is proposed is edition `edition`: a completion may be asked for anew.
    """

    request: int
    bar: int
    bars: int
    first_step: int
    meter: str
    tempo_bpm: float
    until: Place
    seeds: tuple[int, ...]
    let_ring: bool
    wishes: dict[str, Any]
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Replay:
    """io to worker: propose take `take` of the last Generate, under a new request number."""

    request: int
    take: int
    until: Place
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Regenerate:
    """io to worker: new takes from the state of the last Generate, unlike those, drawn by these
    wishes; the first is proposed."""

    request: int
    seeds: tuple[int, ...]
    until: Place
    let_ring: bool
    wishes: dict[str, Any]
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Revise:
    """io to worker: from `step` of bar `bar` of a completion on, make it by these wishes, and what
    has been made beyond again. What is proposed from now on is edition `edition`."""

    request: int
    edition: int
    bar: int
    step: int
    let_ring: bool
    wishes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """io to worker: bar `bar` of a completion, from 0, and those after it have this header. A bar
    that is open already has it when it is revised."""

    request: int
    bar: int
    meter: str
    tempo_bpm: float


@dataclass(frozen=True, slots=True)
class Allow:
    """io to worker: go on until there."""

    request: int
    until: Place


@dataclass(frozen=True, slots=True)
class Cancel:
    """io to worker: forget a completion."""

    request: int


@dataclass(frozen=True, slots=True)
class ComposeNotes:
    """io to worker: some notes (beat, pitch, velocity, beats) of a Compose that will come."""

    job: int
    notes: tuple[tuple[float, int, int, float], ...]


@dataclass(frozen=True, slots=True)
class Compose:
    """io to worker: continue the notes that have come for this job, beside the live music."""

    job: int
    meter: str
    tempo_bpm: float
    bars: int
    seed: int
    wishes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dismiss:
    """io to worker: nobody waits for this composition any more."""

    job: int


@dataclass(frozen=True, slots=True)
class Composed:
    """worker to io: the notes that follow, or why there are none."""

    job: int
    notes: tuple[tuple[float, int, int, float], ...]
    seed: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """io to worker: save the live state to a file, or stand where a file says; `again` if another
    worker already did. The same back, with the error if there was one. `resets` and `bar` are io's
    own: how many came before this was asked for, and the last bar that was heard by then."""

    name: str
    path: str
    save: bool
    error: str = ""
    again: bool = False
    resets: int = 0
    bar: int = -1


@dataclass(frozen=True, slots=True)
class Forget:
    """io to worker: back to the start state."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first line on every link: who calls, and the secret that only our own processes know."""

    name: str
    token: str


@dataclass(frozen=True, slots=True)
class Ready:
    """worker to io and supervisor: the model is loaded, and needs so long for a first chord."""

    model: str
    lead_ns: int


@dataclass(frozen=True, slots=True)
class Proposed:
    """worker to io: a note of bar `bar` (0 the first) of a completion. `edition`: how often it had
    been revised, or asked for anew."""

    request: int
    bar: int
    note: NoteTuple
    edition: int = 0


@dataclass(frozen=True, slots=True)
class InKey:
    """worker to io: the key that a completion in `key auto` keeps to from here on; `none` while too
    little has been heard to tell."""

    request: int
    key: str
    scale: str


@dataclass(frozen=True, slots=True)
class Generated:
    """worker to io: a take is complete, in this edition."""

    request: int
    take: int
    bars: int
    notes: int
    seed: int
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """Any process: what went wrong. `code` is its exit code; with `request`, an OSC error code."""

    code: int
    message: str
    request: int = -1


@dataclass(frozen=True, slots=True)
class Ping:
    """supervisor to io and worker: are you alive?"""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer, from the thread that does the work."""

    number: int


@dataclass(frozen=True, slots=True)
class Listening:
    """io to supervisor: ports and OSC are open; the worker may connect to this loopback port."""

    worker_port: int
    ports: str


@dataclass(frozen=True, slots=True)
class Serving:
    """io to supervisor: the model of the worker of this name plays, the service is up."""

    worker: str
    model: str


@dataclass(frozen=True, slots=True)
class Connections:
    """io to supervisor: who listens to our output, on which MIDI system."""

    api: str
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Patched:
    """io to supervisor, and back to the next io: who our ports are connected to, or were lately."""

    sources: tuple[str, ...]
    clock_sources: tuple[str, ...]
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """io to supervisor: start a second worker with this checkpoint, which takes the first's place
    when it is ready."""

    path: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """supervisor to io: the second worker has taken the first's place."""


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """supervisor to io: that model cannot be had; nothing has changed."""

    reason: str


@dataclass(frozen=True, slots=True)
class WorkerState:
    """supervisor to io: `up`, `down` or `restarting`."""

    state: str


@dataclass(frozen=True, slots=True)
class Stop:
    """supervisor to io and worker: release everything, close, exit."""


Message = (
    Hear
    | Unhear
    | Generate
    | Replay
    | Regenerate
    | Revise
    | Header
    | Allow
    | Cancel
    | ComposeNotes
    | Compose
    | Dismiss
    | Composed
    | Memory
    | Forget
    | Hello
    | Ready
    | Proposed
    | InKey
    | Generated
    | Failed
    | Ping
    | Pong
    | Listening
    | Serving
    | Connections
    | Patched
    | Load
    | Loaded
    | NotLoaded
    | WorkerState
    | Stop
)
