"""Every message that the service sends: replies to the sender and events to the subscribers."""

from __future__ import annotations

from dataclasses import dataclass

from ..parameters import PARAMETERS
from .arguments import Arg


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """A message that the service sends, with the moment or the meaning."""

    address: str
    args: tuple[Arg, ...]
    help: str
    repeated: tuple[Arg, ...] = ()


def _spec(address: str, args: str, help: str, repeated: str = "") -> MessageSpec:
    return MessageSpec(address, _arguments(args), help, _arguments(repeated))


def _arguments(text: str) -> tuple[Arg, ...]:
    """`"i bar, f beat"` as arguments; a type of `v` is the parameter's own."""
    pairs = (item.split() for item in text.split(",") if item)
    return tuple(Arg(name, kind) for kind, name in pairs)


_NOTE = "f beat, i pitch, i velocity, f beats"
_ERROR = _spec(
    "/rwkv/error",
    "i code, s message, s address",
    "A request that was not carried out, or something that went wrong.",
)
_LEARNING = _spec(
    "/rwkv/learning",
    "s command, i seconds",
    "The command that the next message will be learned for, and how long that is waited for; empty"
    " and 0 when none is.",
)
_LEARNED = _spec(
    "/rwkv/learned",
    "s command, s message, s source",
    "The MIDI message of a command, when it is asked for or changes: `source` is configured or"
    " learned; both are empty when it has none.",
)
_PARAMETERS = tuple(
    _spec(f"/rwkv/param/{p.name}", f"{p.type} value", f"The value of {p.name}.")
    for p in PARAMETERS.values()
)

_REPLIES = (
    _spec("/rwkv/pong", "s token, s version, i protocol", "The service is there."),
    _spec(
        "/rwkv/status",
        "s state, i bar, f beat, f tempo, i numerator, i denominator, s source, s model",
        "Where the music stands.",
    ),
    _spec("/rwkv/history/note", _NOTE + ", s who", "A note heard; `who` is player or model."),
    _spec("/rwkv/history/done", "i notes", "The history is complete."),
    _spec("/rwkv/accepted", "i request, i start_bar", "The request will be played."),
    _spec(
        "/rwkv/param/describe",
        "s name, s type, v value, v default, v minimum, v maximum, s choices, s help",
        "A parameter; `choices` are separated by commas, limits of words are empty.",
    ),
    _LEARNING,
    _LEARNED,
    _spec("/rwkv/learn/done", "i commands", "The list is complete."),
    _spec("/rwkv/memory", "", "The memories.", "s name"),
    _spec("/rwkv/model", "", "The models.", "s name"),
    _spec("/rwkv/compose/result", "s id, i first", "Notes of the completion.", _NOTE),
    _spec("/rwkv/compose/done", "s id, i notes, i seed", "The completion is complete."),
    _ERROR,
    *_PARAMETERS,
)

_EVENTS = (
    _spec("/rwkv/state", "s state", "idle, listening, armed or playing: when it changes."),
    _spec("/rwkv/bar", "i bar, i notes_heard", "When the bar has closed."),
    _spec("/rwkv/note/heard", _NOTE, "At its note-off."),
    _spec("/rwkv/note/played", "i request, " + _NOTE, "At its note-on, the planned length."),
    _spec(
        "/rwkv/key",
        "i request, s key, s scale",
        "With `key` auto: the key that a completion keeps to from here on; none while too little"
        " was heard to tell.",
    ),
    _spec(
        "/rwkv/take",
        "i request, i take, i bars, i notes, i seed",
        "When it is complete; once more if new parameters change it while it plays.",
    ),
    _spec(
        "/rwkv/done",
        "i request, i bars, i notes, i late, i dropped, f worst_ms",
        "A completion has ended: how many notes sounded, how many of them late, how many were"
        " dropped because they would have been too late.",
    ),
    _spec("/rwkv/turn", "s who, i bars_left", "Whose turn it is in mode trade: player or model."),
    _LEARNING,
    _LEARNED,
    _spec("/rwkv/worker", "s state", "up, down or restarting: the model's process."),
    _spec("/rwkv/heartbeat", "i uptime_s", "Every 2 s."),
    _ERROR,
    *_PARAMETERS,
)

REPLIES = {spec.address: spec for spec in _REPLIES}
EVENTS = {spec.address: spec for spec in _EVENTS}
SENT = REPLIES | EVENTS
