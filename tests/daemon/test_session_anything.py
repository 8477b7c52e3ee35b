"""A whole session under a transport to which anything is told, while somebody plays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from performances import fresh_state
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import SOURCES, Transport
from session_stage import events, hung, lift, ms, press
from transport_deeds import DEEDS, WAITS_MS, Deed

from rwkv_music.model.scripted import ScriptedModel

_PITCHES = st.integers(58, 63)
_PLAYED = st.one_of(
    st.tuples(st.just("press"), _PITCHES),
    st.tuples(st.just("lift"), _PITCHES),
    st.tuples(
        st.sampled_from(
            ("trigger", "again", "next", "halt", "undo", "reset", "trade", "auto", "manual")
        ),
        st.just(0),
    ),
)


def play(r: Rehearsal, name: str, pitch: int) -> None:
    now_ns = r.clock.now_ns()
    with suppress(OscError):  # there may be nothing to choose from, or to undo
        match name:
            case "press":
                r.play(press(pitch))
            case "lift":
                r.play(lift(pitch))
            case "trigger":
                r.conductor.trigger(now_ns)
            case "again":
                r.conductor.regenerate(now_ns)
            case "next":
                r.conductor.select(now_ns, None)
            case "halt":
                r.conductor.stop(now_ns)
            case "undo":
                r.conductor.undo(now_ns)
            case "reset":
                r.ask("/rwkv/reset")
            case mode:
                r.conductor.set_mode(mode, 1, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SOURCES),
    st.fixed_dictionaries(
        {
            "bars": st.integers(1, 3),
            "quantize": st.sampled_from(("bar", "beat", "now")),
            "overlap": st.sampled_from(("merge", "ignore", "interrupt")),
            "metronome": st.integers(0, 1),
            "thru": st.integers(0, 1),
            "let_ring": st.integers(0, 1),
        }
    ),
    st.lists(st.tuples(WAITS_MS, st.one_of(_PLAYED, DEEDS)), max_size=20),
)
def test_a_session_survives_it(
    source: str, wishes: dict[str, Any], deeds: list[tuple[int, Any]]
) -> None:
    r = Rehearsal(ScriptedModel(), Generation(**wishes), Transport(120.0, source=source))

    def wait(for_ns: int) -> int:
        r.run_until_ns(r.clock.now_ns() + for_ns)
        return r.clock.now_ns()

    def tell(what: Callable[[int], object]) -> None:
        what(r.clock.now_ns())
        r.conductor.follow_transport(r.clock.now_ns())

    for wait_ms, deed in deeds:
        wait(ms(wait_ms))
        if isinstance(deed, Deed):
            deed.do(r.transport, wait, tell)
        else:
            play(r, *deed)
    for pitch in range(58, 64):
        r.play(lift(pitch))
    r.ask("/rwkv/mode", "manual")
    wait(ms(1000))
    tell(lambda now_ns: r.transport.select("internal", now_ns))
    tell(r.transport.stop)
    wait(ms(100))  # a click lasts 30
    assert events(r, "/rwkv/error") == []
    assert hung(r) == set()
    assert r.output.sounding == 0
    serials = [bar.serial for bar in r.conductor.assembler.bars]
    assert all(one < other for one, other in pairwise(serials))
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())
