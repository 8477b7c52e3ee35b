"""How early the worker is asked."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.lead import Lead
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from rwkv_music_daemon.worker_process import WAY_NS, first_chord_ns
from session_stage import events, ms

from rwkv_music.model.scripted import ScriptedModel


def lead_of(*times_ns: int) -> Lead:
    lead = Lead()
    for time_ns in times_ns:
        lead.begin(1)
        lead.measure(1, time_ns - 5)
        lead.measure(1, time_ns)  # of the chord the last tone
    return lead


def test_a_slow_time_counts_for_three_completions() -> None:
    times_ns = [100, 40, 50, 20, 30, 10]
    leads = [lead_of(*times_ns[:n]).ns() for n in range(len(times_ns) + 1)]
    assert leads == [0, 100, 100, 100, 50, 50, 30]


def test_an_estimate_counts_until_there_have_been_three_completions() -> None:
    lead = Lead()
    lead.restart(100)
    assert [lead.ns(takes) for takes in (1, 4, 8)] == [100, 250, 450]
    for time_ns, expected in [(20, 100), (130, 130), (30, 130), (10, 130), (10, 30)]:
        lead.begin(1)
        lead.measure(1, time_ns)
        assert lead.ns() == expected
    lead.restart(300)  # another worker
    assert lead.ns() == 300


def test_more_takes_need_longer_until_they_have_been_measured() -> None:
    lead = lead_of(100)
    assert [lead.ns(takes) for takes in (1, 4, 8)] == [100, 250, 450]
    lead.begin(4)
    lead.measure(4, 130)
    assert [lead.ns(takes) for takes in (1, 2, 4)] == [100, 150, 130]
    assert lead.ns(8) == 130 * 9 // 5


def test_fewer_takes_need_no_longer_than_more() -> None:
    lead = Lead()
    lead.begin(4)
    lead.measure(4, 130)
    assert lead.ns(1) == 130


def test_what_a_worker_expects_at_first_leaves_time_for_the_way() -> None:
    assert first_chord_ns(ScriptedModel(), Generation()) > WAY_NS


@pytest.mark.parametrize("estimate_ms", [0, 30])
def test_the_first_completion_of_a_slow_machine_is_in_time_if_that_was_expected(
    estimate_ms: float,
) -> None:
    """200 BPM, where half a step is 12.5 ms, and a worker that needs 20 ms for its first note."""
    transport = Transport(200.0, None, "internal")
    transport.play(0)
    r = Rehearsal(ScriptedModel(), Generation(bars=1), transport, worker_ns=ms(20))
    r.conductor.worker_up("a model", ms(estimate_ms))
    late = []
    for _ in range(2):
        r.conductor.trigger(r.clock.now_ns())
        done = len(events(r, "/rwkv/done"))
        while len(events(r, "/rwkv/done")) == done:
            r.run_until_ns(r.clock.now_ns() + ms(50))
        late.append(events(r, "/rwkv/done")[-1][3] > 0)
    assert late == [estimate_ms == 0, False]
