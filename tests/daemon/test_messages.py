"""Messages between the processes survive the way, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.lines import decode, encode
from rwkv_music_daemon.messages import Forget, Hear, Message, Ping

from rwkv_music.errors import WorkerError

KINDS = Message.__args__


PLAIN = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: st.text(max_size=20),
    bool: st.booleans(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type."""
    if hint in PLAIN:
        return PLAIN[hint]
    if get_origin(hint) is dict:
        return st.dictionaries(PLAIN[str], st.integers() | PLAIN[str], max_size=3)
    parts = get_args(hint)
    if parts[-1] is Ellipsis:
        return st.lists(values(parts[0]), max_size=4).map(tuple)
    return st.tuples(*(values(part) for part in parts))


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """Any message, with values of the annotated types."""
    kind = draw(st.sampled_from(KINDS))
    hints = get_type_hints(kind)
    return kind(*(draw(values(hints[field.name])) for field in fields(kind)))


@given(messages())
def test_what_is_sent_is_what_arrives(message: Any) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_every_kind_is_a_frozen_line() -> None:
    names = [kind.__name__ for kind in KINDS]
    assert len(set(names)) == len(names)
    for kind in KINDS:
        assert kind.__dataclass_params__.frozen
        assert all(field.name for field in fields(kind))


def test_notes_come_out_as_tuples() -> None:
    message = Hear(3, "6/8", 92.5, ((0, 60, 80, 12, True), (6, 64, 70, 1, False)), False)
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"5",
        b"null",
        b"[]",
        b"[5]",
        b'"Ping"',
        b'["Ping"]',
        b'["Ping",1,2]',
        b'["Pang",1]',
        b'[["Ping"],1]',
        b'["os.system","ls"]',
        b'["Forget"',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_message(line: bytes) -> None:
    with pytest.raises(WorkerError, match="cannot read"):
        decode(line)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20), lambda c: st.lists(c, max_size=4)
    )
)
def test_any_json_is_a_message_or_refused(value: Any) -> None:
    try:
        message = decode(json.dumps(value).encode())
    except WorkerError:
        return
    assert type(message) in KINDS


def test_messages_without_fields() -> None:
    assert decode(encode(Forget())) == Forget()
    assert encode(Ping(4)) == b'["Ping",4]\n'
