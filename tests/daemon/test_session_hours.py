"""A performance of hours: what it remembers does not grow, a bar costs what it cost at first."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable
from random import Random
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import pytest
from rwkv_music_daemon import assembler
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import lift, press

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter

PERIODS, PERIOD = 50, 48  # of so many bars, in each of which the player does the same
SETTLED = 4  # periods, after which everything is as large as it gets
HISTORY_BARS = 64  # instead of 1024, so that it is full soon


class Hours:
    """Short bars in `trade`, with all that a player may ask for now and then."""

    def __init__(self) -> None:
        transport = Transport(600.0, Meter(1, 4), "internal")
        transport.play(0)
        wishes = Generation(thru=1, metronome=1, takes=2, horizon_beats=2)
        self.r = Rehearsal(ScriptedModel(), wishes, transport)
        self.r.ask("/rwkv/mode", "trade", 2, 2)
        self._bar = 0
        self.done: Counter[str] = Counter()  # answers and events, by address

    def play_period(self) -> None:
        random = Random(1)
        for bar in range(PERIOD):
            pitch = random.randint(50, 60)
            self._until(self._bar + 0.1)
            self.r.play(press(pitch))
            self.r.play(bytes((0xB0, 64, 127 * (bar % 2))))
            self._ask_something(bar, random)
            self._until(self._bar + 0.5)
            self.r.play(lift(pitch))
            self._bar += 1
        self._until(self._bar)
        self.done.update(address for address, _ in self.r.replies())
        self.done.update(address for _, address, _ in self.r.events)
        self.r.events.clear()
        self.r.sent.clear()

    def _ask_something(self, bar: int, random: Random) -> None:
        match bar % 12:
            case 1:
                self.r.ask("/rwkv/set/density", random.choice((0.5, 1.0)))
            case 3:
                self.r.ask("/rwkv/take/next")
            case 4:
                self.r.ask("/rwkv/regenerate")
            case 6:
                self.r.ask("/rwkv/once/channel_out", random.randint(1, 16))
            case 7:
                self.r.ask("/rwkv/undo")
            case 8:
                self.r.ask("/rwkv/compose/begin", "clip", 120.0, 4, 4)
                self.r.ask("/rwkv/compose/run", "clip", 0, 1)
            case 9:
                self.r.ask("/rwkv/history")
            case 11:
                self.r.ask("/rwkv/stop")

    def _until(self, bar: float) -> None:
        self.r.run_until_ns(self.r.transport.ns_at(bar))

    @property
    def sizes(self) -> Counter[str]:
        """How much each container holds, by the way that leads to it."""
        return sizes_within(self.r, without=(self.r.events, self.r.port))


def sizes_within(root: object, without: Iterable[object] = ()) -> Counter[str]:
    sizes: Counter[str] = Counter()
    seen = {id(thing): thing for thing in without}
    ways: list[tuple[Any, str]] = [(root, type(root).__name__)]
    while ways:
        thing, way = ways.pop()
        if id(thing) in seen or isinstance(thing, (int, float, str, bytes, type, ModuleType)):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, (list, tuple, set, frozenset, deque, dict, bytearray)):
            sizes[way] += len(thing)
        match thing:
            case MethodType():
                ways.append((thing.__self__, way))
            case FunctionType():
                ways += [(cell.cell_contents, way) for cell in thing.__closure__ or ()]
            case dict():
                ways += [(value, f"{way}{{}}") for value in (*thing, *thing.values())]
            case list() | tuple() | set() | frozenset() | deque():
                ways += [(value, f"{way}[]") for value in thing]
            case _:
                ways += [(value, f"{way}.{name}") for name, value in _fields(thing)]
    return sizes


def _fields(thing: object) -> list[tuple[str, Any]]:
    names = {*getattr(thing, "__dict__", ())}
    for kind in type(thing).__mro__:
        slots = getattr(kind, "__slots__", ())
        names |= {slots} if isinstance(slots, str) else set(slots)
    return [(name, getattr(thing, name)) for name in sorted(names) if hasattr(thing, name)]


def calls(hours: Hours) -> int:
    """How many functions of Python are called in a period."""
    called = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal called
        called += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        hours.play_period()
    finally:
        sys.setprofile(before)
    return called


def test_nothing_grows_and_a_bar_costs_what_it_cost_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assembler, "HISTORY_BARS", HISTORY_BARS)
    hours = Hours()
    for _ in range(SETTLED):
        hours.play_period()
    settled = hours.sizes
    first = calls(hours)
    for _ in range(PERIODS - SETTLED - 2):
        hours.play_period()
    last = calls(hours)
    grown = {way: (settled[way], n) for way, n in hours.sizes.items() if n > settled[way] + 8}
    assert grown == {}
    assert last <= first * 1.02
    for address in ("take", "done", "turn", "bar", "compose/done", "history/done", "accepted"):
        assert hours.done[f"/rwkv/{address}"] >= PERIODS, address


def test_what_grows_would_be_seen() -> None:
    hours = Hours()
    before = hours.sizes
    hours.r.conductor.assembler.forgotten = leak = []  # type: ignore[attr-defined]
    leak += range(9)
    ((way, more),) = (hours.sizes - before).items()
    assert (way.split(".")[-1], more) == ("forgotten", 9)
