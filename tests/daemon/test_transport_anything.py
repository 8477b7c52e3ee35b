"""Whatever is told to a transport, in whatever order: what holds of it always."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rwkv_music_daemon.transport import (
    SOURCES,
    Located,
    SourceChanged,
    Started,
    Stopped,
    Transport,
)
from transport_deeds import DEEDS, WAITS_MS, Deed

from rwkv_music.timebase import NS_PER_MS

_LOOK_NS = 20 * NS_PER_MS
_CORRECTED_BEATS = 0.25
_FASTEST_BEATS_PER_NS = 1000 / 60e9 * 2  # at the fastest tempo, while it catches up


class Watch:
    """Lets time pass, and compares what the transport says with what it told."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.now_ns = 10**12
        self.playing, self.source = False, transport.source
        self.bar = transport.bar_at(0.0)

    def wait(self, for_ns: int) -> int:
        end_ns = self.now_ns + for_ns
        while self.now_ns < end_ns:
            before, then_ns = self.transport.beat_at(self.now_ns), self.now_ns
            self.now_ns = min(self.now_ns + _LOOK_NS, end_ns)
            passed = self.transport.beat_at(self.now_ns) - before
            assert -1e-6 <= passed <= (self.now_ns - then_ns) * _FASTEST_BEATS_PER_NS
            self.tell(self.transport.tick)
        return self.now_ns

    def tell(self, what: Callable[[int], object]) -> None:
        transport, now_ns = self.transport, self.now_ns
        before = transport.beat_at(now_ns)
        what(now_ns)
        after, jumped, moved = transport.beat_at(now_ns), False, False
        for change in transport.take_changes():
            match change:
                case Started():
                    assert not self.playing
                    self.playing = moved = jumped = True
                case Stopped(beat):
                    assert self.playing
                    self.playing, moved = False, True
                    assert beat == pytest.approx(before, abs=1e-6)
                case Located():
                    moved = jumped = True
                case SourceChanged(name):
                    assert name != self.source
                    self.source = name
            if isinstance(change, Started | Located):
                last = change.beat
        assert (transport.playing, transport.source) == (self.playing, self.source)
        assert transport.selected in ("auto", self.source) or self.source == "internal"
        if jumped:
            assert after == pytest.approx(last, abs=1e-6)
        elif not moved:
            assert after == pytest.approx(before, abs=1e-6 if self.playing else _CORRECTED_BEATS)
        self._check_bars(after, now_ns, jumped=jumped)

    def _check_bars(self, beat: float, now_ns: int, *, jumped: bool) -> None:
        transport = self.transport
        bar = transport.bar_at(beat)
        assert bar.start_beat - 1e-5 <= beat < bar.end_beat
        assert transport.bar(bar.number) == bar
        assert transport.bar(bar.number + 1).start_beat == bar.end_beat
        if self.playing and not jumped:
            assert bar.number >= self.bar.number
            if bar.number == self.bar.number:
                assert bar.start_beat == self.bar.start_beat
        self.bar = bar
        if self.playing:
            later = transport.ns_at(beat + 1)
            assert later > now_ns
            assert transport.beat_at(later) == pytest.approx(beat + 1, abs=1e-5)
        assert 9 <= transport.tempo_bpm <= 2600


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SOURCES), st.lists(st.tuples(WAITS_MS, DEEDS), max_size=25))
def test_a_transport_says_what_it_does(source: str, deeds: list[tuple[int, Deed]]) -> None:
    watch = Watch(Transport(120.0, source=source))
    for wait_ms, deed in deeds:
        watch.wait(wait_ms * NS_PER_MS)
        deed.do(watch.transport, watch.wait, watch.tell)
    watch.wait(3_000 * NS_PER_MS)
    assert watch.source != "midi_clock" or not watch.playing
