"""The address table: every request of the contract, and every way of getting one wrong."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.osc.announcements import EVENTS, REPLIES
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.osc.encoding import LONGEST_TEXT, encode
from rwkv_music_daemon.osc.framing import Message, parse
from rwkv_music_daemon.osc.positions import parse_bbt
from rwkv_music_daemon.osc.requests import NOT_ONCE, REQUESTS
from rwkv_music_daemon.osc.table import Request, describe, match
from rwkv_music_daemon.parameters import PARAMETERS

# Address -> arguments that are right; the contract, written down a second time on purpose.
RIGHT: dict[str, tuple[tuple[object, ...], ...]] = {
    "/rwkv/ping": ((), ("token",)),
    "/rwkv/subscribe": ((9000,),),
    "/rwkv/unsubscribe": ((9000,),),
    "/rwkv/status": ((),),
    "/rwkv/history": ((), (8,)),
    "/rwkv/trigger": ((), (4,), (4, 1)),
    "/rwkv/toggle": ((),),
    "/rwkv/stop": ((),),
    "/rwkv/panic": ((),),
    "/rwkv/regenerate": ((),),
    "/rwkv/take/select": ((0,),),
    "/rwkv/take/next": ((),),
    "/rwkv/undo": ((),),
    "/rwkv/reset": ((),),
    "/rwkv/mode": (("manual",), ("trade", 4, 4), ("auto",)),
    "/rwkv/params": ((),),
    "/rwkv/learn": ((), ("trigger",), ("take_next",)),
    "/rwkv/learn/list": ((),),
    "/rwkv/unlearn": (("trigger",),),
    "/rwkv/transport/play": ((),),
    "/rwkv/transport/stop": ((),),
    "/rwkv/transport/continue": ((),),
    "/rwkv/transport/tempo": ((121.5,), (90,)),
    "/rwkv/transport/meter": ((6, 8), (4.0, 4.0)),
    "/rwkv/transport/bar": ((4, 16.0, 3, 4), (4.0, 16, 3.0, 4.0)),
    "/rwkv/transport/position": ((17.25,),),
    "/rwkv/transport/bbt": (("5.2.50",),),
    "/rwkv/transport/seconds": ((3.5,),),
    "/rwkv/transport/source": (("auto",), ("midi_clock",), ("link",)),
    "/rwkv/memory/save": (("verse",),),
    "/rwkv/memory/load": (("verse",),),
    "/rwkv/memory/list": ((),),
    "/rwkv/model/load": (("big",),),
    "/rwkv/model/list": ((),),
    "/rwkv/compose/begin": (("a", 120.0, 4, 4),),
    "/rwkv/compose/notes": (("a", 0), ("a", 60, *[1.5, 60, 90, 0.5] * 60)),
    "/rwkv/compose/run": (("a", 120, 4), ("a", 120, 4, 7)),
}
BUTTONS = [address for address, spec in REQUESTS.items() if not spec.args]


def ask(address: str, *args: object) -> Request | None:
    return match(Message(address, args))  # type: ignore[arg-type]


def refusal(address: str, *args: object) -> OscError:
    with pytest.raises(OscError) as caught:
        ask(address, *args)
    return caught.value


def test_the_addresses_are_the_contracts() -> None:
    assert set(REQUESTS) == set(RIGHT)


@pytest.mark.parametrize("address", RIGHT)
def test_right_arguments_match(address: str) -> None:
    for args in RIGHT[address]:
        request = ask(address, *args)
        assert request is not None
        assert request.name == address.removeprefix("/rwkv/")
        assert request.args[: len(args)] == args
        assert len(request.args) >= len(REQUESTS[address].args)
        assert all(value is None for value in request.args[len(args) :])


@pytest.mark.parametrize("address", BUTTONS)
def test_a_buttons_release_is_ignored_and_its_press_accepted(address: str) -> None:
    assert ask(address, 0) is None
    assert ask(address, 0.0) is None
    assert ask(address, 1) == ask(address, 1.0) == ask(address)
    assert ask(address) is not None
    assert refusal(address, 2).code == 400
    assert refusal(address, "1").code == 400


@pytest.mark.parametrize("address", ["/rwkv/trigger", "/rwkv/subscribe"])
def test_a_zero_is_no_release_where_there_are_arguments(address: str) -> None:
    assert refusal(address, 0).code == 422


def test_numbers_are_taken_in_both_types() -> None:
    assert ask("/rwkv/trigger", 3.6) == ask("/rwkv/trigger", 4)
    request = ask("/rwkv/transport/tempo", 90)
    assert request is not None
    assert type(request.args[0]) is float


@pytest.mark.parametrize(
    ("code", "address", "args"),
    [
        (404, "/rwkv/nothing", ()),
        (404, "/rwkv/Stop", ()),
        (404, "/rwkv/stop/", ()),
        (404, "/rwkv/*", ()),
        (404, "/rwkv/{stop,panic}", ()),
        (404, "/rwkv", ()),
        (404, "/", ()),
        (404, "/track/1/volume", (0.5,)),
        (404, "/rwkv/set", (1,)),
        (404, "/rwkv/set/nothing", (1,)),
        (404, "/rwkv/get/nothing", ()),
        (400, "/rwkv/get/bars", (4,)),
        (400, "/rwkv/set/bars", ()),
        (400, "/rwkv/set/bars", (1, 2)),
        (400, "/rwkv/set/bars", ("4",)),
        (400, "/rwkv/once/quantize", (1,)),
        (422, "/rwkv/set/bars", (0,)),
        (422, "/rwkv/set/temperature", (math.nan,)),
        (422, "/rwkv/once/quantize", ("half",)),
        (422, "/rwkv/once/grid", ("triplets",)),
        (422, "/rwkv/once/thru", (1,)),
        (422, "/rwkv/once/channel_in", (2,)),
        (422, "/rwkv/once/metronome", (1,)),
        (422, "/rwkv/once/metronome_channel", (2,)),
        (400, "/rwkv/ping", (1,)),
        (400, "/rwkv/ping", ("a", "b")),
        (400, "/rwkv/subscribe", ()),
        (400, "/rwkv/subscribe", ("x",)),
        (422, "/rwkv/subscribe", (65536,)),
        (422, "/rwkv/trigger", (65,)),
        (422, "/rwkv/trigger", (4, 9)),
        (400, "/rwkv/trigger", (4, 1, 1)),
        (422, "/rwkv/mode", ("solo",)),
        (422, "/rwkv/learn", ("jump",)),
        (422, "/rwkv/transport/tempo", (0,)),
        (422, "/rwkv/transport/tempo", (math.inf,)),
        (422, "/rwkv/transport/meter", (7, 4)),
        (422, "/rwkv/transport/bar", (0, 0.0, 7, 4)),
        (422, "/rwkv/transport/bar", (-1, 0.0, 4, 4)),
        (422, "/rwkv/compose/begin", ("a", 120.0, 7, 4)),
        (422, "/rwkv/transport/position", (-1.0,)),
        (422, "/rwkv/transport/position", (1e16,)),
        (422, "/rwkv/transport/seconds", (1e9,)),
        (400, "/rwkv/transport/bbt", ("1.1",)),
        (400, "/rwkv/transport/bbt", (1.1,)),
        (422, "/rwkv/transport/source", ("midi",)),
        (400, "/rwkv/compose/notes", ("a", 0, 1.5, 60, 90)),
        (400, "/rwkv/compose/notes", ("a", 0, *[1.5, 60, 90, 0.5] * 61)),
        (422, "/rwkv/compose/notes", ("a", 0, 1.5, 128, 90, 0.5)),
        (422, "/rwkv/compose/notes", ("a", 0, 4e6, 60, 90, 0.5)),
        (422, "/rwkv/compose/notes", ("a", 20_000, 1.5, 60, 90, 0.5)),
        (422, "/rwkv/compose/run", ("a", 2**31 - 1, 4)),
    ],
)
def test_a_wrong_request_has_its_code(code: int, address: str, args: tuple[object, ...]) -> None:
    found = refusal(address, *args)
    assert found.code == code
    assert len(str(found)) > 10


def test_messages_say_what_was_expected() -> None:
    assert str(refusal("/rwkv/subscribe")) == "expected i port, got 0 arguments"
    assert "did you mean /rwkv/trigger?" in str(refusal("/rwkv/triger"))
    assert "did you mean temperature" in str(refusal("/rwkv/set/temprature", 1))


@pytest.mark.parametrize("address", sorted({*REPLIES, *EVENTS} - set(REQUESTS)))
def test_our_own_messages_coming_back_are_not_answered(address: str) -> None:
    """Two services that sent each other errors about errors would never end."""
    assert ask(address, 400, "x", "y") is None


def test_our_own_status_coming_back_is_not_answered() -> None:
    args = ("playing", 3, 1.5, 120.0, 4, 4, "internal", "m")
    (message,) = parse(encode("/rwkv/status", *args))
    assert match(message) is None


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_set_and_told_by_name(name: str) -> None:
    parameter = PARAMETERS[name]
    for verb in ("set",) if name in NOT_ONCE else ("set", "once"):
        request = ask(f"/rwkv/{verb}/{name}", parameter.default)
        assert request == Request(f"/rwkv/{verb}/{name}", verb, (name, parameter.default))
    assert ask(f"/rwkv/get/{name}") == Request(f"/rwkv/get/{name}", "get", (name,))
    (told,) = parse(encode(f"/rwkv/param/{name}", parameter.default))
    assert told.args == (pytest.approx(parameter.default),)
    (described,) = parse(encode("/rwkv/param/describe", *describe(parameter, parameter.default)))
    assert described.args[:2] == (name, parameter.type)
    assert described.args[6] == ",".join(parameter.choices)


@given(
    st.sampled_from([*REQUESTS, "/rwkv/set/seed", "/rwkv/once/key", "/x"]),
    st.lists(st.integers() | st.floats() | st.text(max_size=5), max_size=6),
)
def test_any_arguments_end_in_a_request_or_an_error(address: str, args: list[object]) -> None:
    with contextlib.suppress(OscError):
        ask(address, *args)


def test_a_position_of_reaper_is_read() -> None:
    assert parse_bbt("1.1.00") == (0, 0.0)
    assert parse_bbt("12.3.50") == (11, 2.5)
    assert parse_bbt("-1.1.00") == (-2, 0.0)
    for text in ("", "1", "1.0.00", "1.1.", "a.b.c", "1.1.00.0", "١.1.00"):
        with pytest.raises(OscError):
            parse_bbt(text)


def test_messages_go_out_in_the_types_of_the_table() -> None:
    (message,) = parse(encode("/rwkv/status", "idle", 3, 12, 120, 4, 4, "internal", "m"))
    assert [type(a) for a in message.args] == [str, int, float, float, int, int, str, str]
    assert parse(encode("/rwkv/memory", "a", "b"))[0].args == ("a", "b")
    assert parse(encode("/rwkv/heartbeat", 2**40))[0].args == (2**31 - 1,)
    assert parse(encode("/rwkv/note/heard", 1e300, 60, 90, math.inf))[0].args[1] == 60


@pytest.mark.parametrize(
    ("address", "args"),
    [
        ("/rwkv/nothing", ()),
        ("/rwkv/bar", (1,)),
        ("/rwkv/bar", (1, 2, 3)),
        ("/rwkv/bar", (1, "2")),
        ("/rwkv/bar", (1, 2.5)),
        ("/rwkv/state", (1,)),
    ],
)
def test_a_message_that_the_table_does_not_have_cannot_be_made(
    address: str, args: tuple[object, ...]
) -> None:
    with pytest.raises(ValueError, match=r"table|type"):
        encode(address, *args)  # type: ignore[arg-type]


@given(st.text(max_size=3000))
def test_any_text_can_be_sent_and_is_cut(text: str) -> None:
    (message,) = parse(encode("/rwkv/error", 500, text, "/x"))
    assert len(str(message.args[1]).encode()) <= LONGEST_TEXT
