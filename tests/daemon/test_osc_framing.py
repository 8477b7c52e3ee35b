"""Datagrams from anywhere: messages, or one clear error, and never anything else."""

from __future__ import annotations

import contextlib
import os
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from rwkv_music_daemon.osc.encoding import EncodingError, encode_any
from rwkv_music_daemon.osc.framing import (
    LARGEST_DATAGRAM,
    MOST_MESSAGES,
    FramingError,
    Message,
    parse,
)

NOW = 1 << 40
MUTATIONS = int(os.environ.get("RWKV_MUSIC_ABUSE", "3000"))  # `make abuse` asks for a million
PING = encode_any("/rwkv/ping", "x")


def bundle(*elements: bytes, timetag: int = 1) -> bytes:
    sized = b"".join(struct.pack(">i", len(e)) + e for e in elements)
    return b"#bundle\0" + struct.pack(">Q", timetag) + sized


def nested(depth: int) -> bytes:
    packet = PING
    for _ in range(depth):
        packet = bundle(packet)
    return packet


def error(datagram: bytes) -> FramingError:
    with pytest.raises(FramingError) as caught:
        parse(datagram, lambda: NOW)
    return caught.value


WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
ARGS = st.lists(st.integers(-(2**31), 2**31 - 1) | st.floats(width=32, allow_nan=False) | WORDS)


@given(WORDS, ARGS)
def test_what_is_built_is_read(word: str, args: list[int | float | str]) -> None:
    assert parse(encode_any("/" + word, *args)) == [Message("/" + word, tuple(args))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**31, "2147483648: expected a whole number from -2147483648 to 2147483647"),
        (-(2**31) - 1, "-2147483649: expected a whole number from"),
        (1e39, r"1e\+39: expected a number from -3.40282e\+38 to 3.40282e\+38"),
        ("\udcff", r"'\\udcff': expected text in UTF-8"),
    ],
)
def test_what_osc_cannot_say_is_not_sent(value: int | float | str, expected: str) -> None:
    with pytest.raises(EncodingError, match=expected):
        encode_any("/a", 1, value)
    if isinstance(value, str):
        with pytest.raises(EncodingError, match=expected):
            encode_any(value)


def test_a_message_without_type_tags_has_no_arguments() -> None:
    assert parse(b"/rwkv/stop\0\0") == [Message("/rwkv/stop")]


def test_wide_numbers_and_booleans_are_numbers() -> None:
    datagram = b"/a\0\0,hdTF\0\0\0" + struct.pack(">qd", 2**40, 0.5)
    assert parse(datagram) == [Message("/a", (2**40, 0.5, 1, 0))]


def test_bundles_are_unrolled_in_order() -> None:
    numbered = [encode_any("/n", i) for i in range(5)]
    packet = bundle(numbered[0], bundle(numbered[1], bundle(), numbered[2]), *numbered[3:])
    assert [m.args for m in parse(packet)] == [(0,), (1,), (2,), (3,), (4,)]


def test_a_bundle_of_python_osc_is_read() -> None:
    builder = OscBundleBuilder(IMMEDIATELY)
    builder.add_content(builder.build())
    assert parse(builder.build().dgram) == []


@pytest.mark.parametrize("timetag", [0, 1, NOW - 1, NOW])
def test_a_time_tag_that_is_now_or_past_is_at_once(timetag: int) -> None:
    assert len(parse(bundle(PING, timetag=timetag), lambda: NOW)) == 1


@pytest.mark.parametrize("wrap", [0, 3])
def test_a_time_tag_in_the_future_is_406(wrap: int) -> None:
    packet = bundle(PING, timetag=NOW + 1)
    for _ in range(wrap):
        packet = bundle(PING, packet)
    assert error(packet).code == 406


def test_the_clock_of_time_tags_is_the_time_of_day() -> None:
    year_2020, year_2200 = 3_786_825_600 << 32, (3_786_825_600 << 32) + (180 * 31_556_952 << 32)
    assert len(parse(bundle(PING, timetag=year_2020))) == 1
    with pytest.raises(FramingError):
        parse(bundle(PING, timetag=min(year_2200, 2**64 - 1)))


HOSTILE = {
    "nothing": b"",
    "zeros": b"\0" * 16,
    "text": b"hello world\0",
    "no terminator": b"/rwkv/ping",
    "address not padded": b"/rwkv/ping\0",
    "padding not zero": b"/a\0x",
    "bad UTF-8 address": b"/\xff\xfe\0",
    "bad UTF-8 text": b"/a\0\0,s\0\0\xc3\x28\0\0",
    "type tags without a comma": b"/a\0\0i\0\0\0" + b"\0" * 4,
    "type tags not terminated": b"/a\0\0,iii",
    "unknown type": b"/a\0\0,Z\0\0",
    "blob of size -1": b"/a\0\0,b\0\0" + b"\xff" * 4,
    "array": b"/a\0\0,[i]\0\0\0\0" + b"\0" * 4,
    "argument missing": b"/a\0\0,ii\0" + b"\0" * 4,
    "argument too many": b"/a\0\0,i\0\0" + b"\0" * 8,
    "text missing": b"/a\0\0,s\0\0",
    "bundle without a time": b"#bundle\0",
    "bundle of half a time": b"#bundle\0" + b"\0" * 4,
    "bundle size -4": b"#bundle\0" + b"\0" * 7 + b"\1" + struct.pack(">i", -4) + b"\0" * 4,
    "bundle size 0": b"#bundle\0" + b"\0" * 7 + b"\1" + b"\0" * 4,
    "bundle size 3": b"#bundle\0" + b"\0" * 7 + b"\1" + struct.pack(">i", 3) + b"abcd",
    "bundle size huge": b"#bundle\0" + b"\0" * 7 + b"\1" + struct.pack(">i", 2**31 - 1) + PING,
    "bundle ends in a size": bundle(PING) + b"\0\0",
    "bundle of rubbish": bundle(b"rubbish\0"),
    "deep": nested(400),
    "9000 bytes": encode_any("/rwkv/ping", "x" * 9000),
    "a megabyte": b"/" + b"a" * 2**20,
    "many messages": bundle(*[encode_any("/a")] * (MOST_MESSAGES + 1)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_datagram_is_one_clear_error(name: str) -> None:
    found = error(HOSTILE[name])
    assert found.code == 400
    assert 10 < len(str(found)) < 200


def test_limits_are_inclusive() -> None:
    assert len(parse(bundle(*[encode_any("/a")] * MOST_MESSAGES))) == MOST_MESSAGES
    assert len(parse(encode_any("/a", "x" * (LARGEST_DATAGRAM - 9)))) == 1
    assert str(LARGEST_DATAGRAM) in str(error(encode_any("/a", "x" * (LARGEST_DATAGRAM - 8))))
    assert len(parse(nested(8))) == 1
    assert "nested" in str(error(nested(9)))


def test_one_bad_element_spoils_the_bundle() -> None:
    """Nothing is carried out by halves."""
    error(bundle(PING, b"/a\0\0,Z\0\0"))


def test_the_error_names_the_address_when_it_was_readable() -> None:
    assert error(b"/a\0\0,Z\0\0").address == "/a"


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda b: b"#bundle\0" + b))
def test_random_bytes_never_escape(datagram: bytes) -> None:
    with contextlib.suppress(FramingError):
        parse(datagram)


def test_mutated_datagrams_never_escape() -> None:
    rng = random.Random(7)
    seeds = [
        PING,
        bundle(PING, encode_any("/rwkv/set/temperature", 0.5)),
        nested(5),
        encode_any("/rwkv/compose/notes", "id", 0, *[1.5, 60, 90, 0.5] * 10),
        *(packet for packet in HOSTILE.values() if len(packet) < 500),
    ]
    refused = 0
    for _ in range(MUTATIONS):
        try:
            parse(mutated(rng, rng.choice(seeds)))
        except FramingError:
            refused += 1
    assert 0 < refused < MUTATIONS


def mutated(rng: random.Random, packet: bytes) -> bytes:
    data = bytearray(packet)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(5)
        if what == 0 and at < len(data):
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x2F, 0x2C, rng.randrange(256)])
        elif what == 1:
            data[at:at] = rng.randbytes(rng.choice([1, 2, 4, 8]))
        elif what == 2:
            del data[at : at + rng.choice([1, 2, 4, 8])]
        elif what == 3:
            data[at & ~3 : (at & ~3) + 4] = struct.pack(">i", rng.choice([-4, -1, 0, 4, 2**31 - 1]))
        else:
            data = data[:at] if rng.random() < 0.5 else data + data
    return bytes(data)
