"""How early the worker is asked."""

from __future__ import annotations

from rwkv_music_daemon.lead import Lead


def test_a_slow_time_counts_for_three_completions() -> None:
    lead = Lead()
    assert lead.ns() == 0
    lead.restart(100)
    for time_ns, expected in [(40, 100), (50, 100), (20, 50), (30, 50), (10, 30)]:
        lead.begin(1)
        lead.measure(1, time_ns - 5)
        lead.measure(1, time_ns)  # of the chord the last tone
        assert lead.ns() == expected


def test_more_takes_need_longer_until_they_have_been_measured() -> None:
    lead = Lead()
    lead.restart(100)
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
