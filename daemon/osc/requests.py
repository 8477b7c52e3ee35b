"""Every request that the service knows: address, arguments, help. The docs are made from this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rwkv_music.errors import TokenError
from rwkv_music.music import Meter

from ..leaders import FASTEST_BPM, SLOWEST_BPM, SOURCES
from ..learning import LEARNING_S
from ..midi_map import COMMANDS
from ..parameters import PARAMETERS
from .arguments import LARGEST_INT, Arg, OscError, parameter_argument
from .positions import parse_bbt

MOST_COMPOSE_NOTES = 60  # in one message
MOST_CLIP_NOTES = 20_000
_MOST_CLIP_BEATS = 20_000  # each of its bars is heard, empty or not
_MOST_BEATS, _MOST_SECONDS = 10_000_000, 600_000  # a week at the fastest tempo
_WORK_S = 60.0
_SWAP_S = 900.0  # a large model is loaded, and then a long completion plays to its end
_PORT = Arg("port", "i", minimum=1, maximum=65535)
_NAME = Arg("name", "s")
_ID = Arg("id", "s")
_BARS = parameter_argument(PARAMETERS["bars"], optional=True)
_TAKES = parameter_argument(PARAMETERS["takes"], optional=True)
_TEMPO = Arg("tempo", "f", minimum=SLOWEST_BPM, maximum=FASTEST_BPM)
_NUMERATOR = Arg("numerator", "i", minimum=1, maximum=64)
_DENOMINATOR = Arg("denominator", "i", minimum=1, maximum=64)
_NOTE = (
    Arg("beat", "f", minimum=0, maximum=_MOST_CLIP_BEATS),
    Arg("pitch", "i", minimum=0, maximum=127),
    Arg("velocity", "i", minimum=1, maximum=127),
    Arg("beats", "f", minimum=0),
)


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """A request. `reply` is the address that ends its answer (empty: it has none), which may take
    `patience_s` (0: it comes at once). `check` sees the arguments together and raises OscError."""

    address: str
    args: tuple[Arg, ...]
    help: str
    reply: str = ""
    repeated: tuple[Arg, ...] = ()
    most_repeats: int = 0
    check: Callable[..., Any] | None = None
    patience_s: float = 0.0

    @property
    def name(self) -> str:
        """The address without `/rwkv/`: what the service dispatches on."""
        return self.address.removeprefix("/rwkv/")


def _check_meter(numerator: int, denominator: int) -> None:
    try:
        Meter(numerator, denominator)
    except TokenError as error:
        raise OscError(422, str(error)) from error


_SPECS = (
    RequestSpec(
        "/rwkv/ping",
        (Arg("token", "s", optional=True),),
        "Is the service there?",
        reply="/rwkv/pong",
    ),
    RequestSpec(
        "/rwkv/subscribe",
        (_PORT,),
        "Events to that port of the sender's host, current values at once. A lease of 60 s,"
        " renewed by any message.",
    ),
    RequestSpec("/rwkv/unsubscribe", (_PORT,), "No more events to that port."),
    RequestSpec("/rwkv/status", (), "Where the music stands.", reply="/rwkv/status"),
    RequestSpec(
        "/rwkv/history",
        (Arg("bars", "i", optional=True, minimum=1, maximum=LARGEST_INT),),
        "What the state has heard: all, or the last bars. A `/rwkv/history/note` each.",
        reply="/rwkv/history/done",
    ),
    RequestSpec(
        "/rwkv/trigger",
        (_BARS, _TAKES),
        "Continue the music at the next launch point.",
        reply="/rwkv/accepted",
    ),
    RequestSpec(
        "/rwkv/toggle", (), "Triggers, or stops what is armed or playing: one button for both."
    ),
    RequestSpec("/rwkv/stop", (), "Ends the completion now and releases its notes."),
    RequestSpec("/rwkv/panic", (), "Stop, then the panic sequence on all channels."),
    RequestSpec(
        "/rwkv/regenerate",
        (),
        "New takes from the state before the last completion, unlike those offered.",
        reply="/rwkv/accepted",
    ),
    RequestSpec(
        "/rwkv/take/select",
        (Arg("take", "i", minimum=0, maximum=LARGEST_INT),),
        "Plays that take, counted from 0, at the next launch point.",
        reply="/rwkv/accepted",
    ),
    RequestSpec(
        "/rwkv/take/next",
        (),
        "Plays the next take at the next launch point.",
        reply="/rwkv/accepted",
    ),
    RequestSpec(
        "/rwkv/undo",
        (),
        "The state as if the last completion had not been. What is armed stays armed and is made"
        " from that state. Only what began in the last 16 bars can be undone.",
    ),
    RequestSpec("/rwkv/reset", (), "Forgets everything heard."),
    RequestSpec(
        "/rwkv/mode",
        (
            Arg("mode", "s", choices=("manual", "trade", "auto")),
            Arg("listen_bars", "i", optional=True, minimum=1, maximum=64),
            Arg("play_bars", "i", optional=True, minimum=1, maximum=64),
        ),
        "Who decides when to play: you, turns of bars, or your silence. Bars that are not given"
        " are the parameter `bars`. What waits because you asked for it is played instead of a"
        " turn.",
    ),
    RequestSpec(
        "/rwkv/params",
        (),
        "Describes every parameter.",
        reply="/rwkv/param/describe",
    ),
    RequestSpec(
        "/rwkv/learn",
        (Arg("command", "s", optional=True, choices=tuple(COMMANDS)),),
        "The next controller, note or program change becomes the trigger of that command, if it"
        f" comes within {LEARNING_S} s. Without a command, that is called off.",
        reply="/rwkv/learning",
    ),
    RequestSpec(
        "/rwkv/learn/list",
        (),
        "Tells the messages of all commands that have one, a `/rwkv/learned` each.",
        reply="/rwkv/learn/done",
    ),
    RequestSpec(
        "/rwkv/unlearn",
        (Arg("command", "s", choices=tuple(COMMANDS)),),
        "Forgets the message that was learned: what is configured counts again.",
        reply="/rwkv/learned",
    ),
    RequestSpec(
        "/rwkv/transport/play",
        (),
        "Start from the top (sources osc and internal). Where a position was told before, but not"
        " just now: from the next one, or after 250 ms without one.",
    ),
    RequestSpec("/rwkv/transport/stop", (), "Stop (sources osc and internal)."),
    RequestSpec("/rwkv/transport/continue", (), "Go on from here (sources osc and internal)."),
    RequestSpec("/rwkv/transport/tempo", (_TEMPO,), "Quarters a minute."),
    RequestSpec(
        "/rwkv/transport/meter",
        (_NUMERATOR, _DENOMINATOR),
        "For every source that does not tell it (MIDI clock does not). It holds from the next bar"
        " line on; told within the first beat of a bar, or within 2 s of a jump at rest, from the"
        " line of that bar.",
        check=_check_meter,
    ),
    RequestSpec(
        "/rwkv/transport/bar",
        (
            Arg("bar", "i", minimum=0, maximum=_MOST_BEATS),
            Arg("beat", "f", minimum=0, maximum=_MOST_BEATS),
            _NUMERATOR,
            _DENOMINATOR,
        ),
        "The bar of the song that is playing, or that the position told next is in: its number, the"
        " beat on which it begins, its meter; or the next one, up to two beats before it. So bars"
        " are right after a jump in a song of several meters, for MIDI clock too.",
        check=lambda _bar, _beat, numerator, denominator: _check_meter(numerator, denominator),
    ),
    RequestSpec(
        "/rwkv/transport/position",
        (Arg("beat", "f", minimum=0, maximum=_MOST_BEATS),),
        "Beats since the start.",
    ),
    RequestSpec(
        "/rwkv/transport/bbt",
        (Arg("position", "s"),),
        '"bar.beat.hundredths", bars and beats from 1: REAPER\'s BEAT string.',
        check=parse_bbt,
    ),
    RequestSpec(
        "/rwkv/transport/seconds",
        (Arg("seconds", "f", minimum=0, maximum=_MOST_SECONDS),),
        "Seconds since the start, from a host that tells no beats: right while the tempo has not"
        " changed. Ignored for 2 s after a position in beats or bars.",
    ),
    RequestSpec(
        "/rwkv/transport/source",
        (Arg("source", "s", choices=SOURCES),),
        "Clock that is followed. 406 for link where its library is not installed.",
    ),
    RequestSpec(
        "/rwkv/memory/save",
        (_NAME,),
        "Keeps what the state has heard as a named memory, and its notes for `key` auto.",
        reply="/rwkv/memory",
        patience_s=_WORK_S,
    ),
    RequestSpec(
        "/rwkv/memory/load",
        (_NAME,),
        "Forgets everything heard, and stands where a named memory was saved, also after the"
        " model's process was started again; until `/rwkv/reset`. What plays ends; what is armed"
        " stays armed and is made from the memory.",
        reply="/rwkv/memory",
        patience_s=_WORK_S,
    ),
    RequestSpec(
        "/rwkv/memory/list",
        (),
        "Names the memories, those that come with the embedded model among them.",
        reply="/rwkv/memory",
    ),
    RequestSpec(
        "/rwkv/model/load",
        (_NAME,),
        "Swaps the model while the music goes on, as soon as nothing plays; the answer comes then.",
        reply="/rwkv/model",
        patience_s=_SWAP_S,
    ),
    RequestSpec("/rwkv/model/list", (), "Names the models.", reply="/rwkv/model"),
    RequestSpec(
        "/rwkv/compose/begin",
        (_ID, _TEMPO, _NUMERATOR, _DENOMINATOR),
        "Begins offline work for a clip script; begun again, an id gets its new answer only.",
        check=lambda _id, _tempo, numerator, denominator: _check_meter(numerator, denominator),
    ),
    RequestSpec(
        "/rwkv/compose/notes",
        (_ID, Arg("first", "i", minimum=0, maximum=MOST_CLIP_NOTES - 1)),
        "Notes of the context, numbered from `first`.",
        repeated=_NOTE,
        most_repeats=MOST_COMPOSE_NOTES,
    ),
    RequestSpec(
        "/rwkv/compose/run",
        (
            _ID,
            Arg("notes", "i", minimum=0, maximum=MOST_CLIP_NOTES),
            parameter_argument(PARAMETERS["bars"]),
            Arg("seed", "i", optional=True, minimum=-1, maximum=LARGEST_INT),
        ),
        "412 when notes are missing (send them again), else the completion; run again meanwhile,"
        " an id gets its new answer only.",
        reply="/rwkv/compose/done",
        patience_s=_WORK_S,
    ),
)

REQUESTS = {spec.address: spec for spec in _SPECS}
# Parameters of the player's own part and of the click: no request has them for itself.
NOT_ONCE = ("grid", "thru", "channel_in", "metronome", "metronome_channel")
