"""Messages between the processes as lines of JSON.

JSON, not pickle: a damaged or hostile line can be refused, it can never run code.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from rwkv_music.errors import WorkerError

from .messages import Message

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in Message.__args__}
_FIELDS = {name: tuple(f.name for f in fields(kind)) for name, kind in _KINDS.items()}


def encode(message: Message) -> bytes:
    """One line: the kind, then its fields in order."""
    name = type(message).__name__
    values = [name, *(getattr(message, field) for field in _FIELDS[name])]
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Raises WorkerError for a line that no process of ours wrote."""
    try:
        name, *values = json.loads(line)
        message: Message = _KINDS[name](*(_frozen(value) for value in values))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WorkerError(f"message between processes: cannot read {line[:80]!r}") from error
    return message


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
