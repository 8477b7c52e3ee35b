"""What our client of JACK does in the server's thread: the order of messages, frames' times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.ports import jack_extension
from rwkv_music_daemon.scheduler import Pass, Scheduler, Strike

pytestmark = pytest.mark.skipif(
    jack_extension.module is None, reason=f"not built: {jack_extension.absence}"
)
if jack_extension.module is not None:
    from rwkv_music_daemon.ports._jack import NOW, FrameTimes, Waiting

RATE, PERIOD = 48_000, 64
PERIOD_NS = PERIOD * 10**9 // RATE


def on(pitch: int, channel: int = 0) -> bytes:
    return bytes((0x90 | channel, pitch, 64))


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes((0x80 | channel, pitch, 0))


def pedal(value: int, channel: int = 0) -> bytes:
    return bytes((0xB0 | channel, 64, value))


def waiting(*given: tuple[bytes, int | None]) -> list[tuple[int, bytes]]:
    messages = Waiting()
    for message, at_ns in given:
        messages.add(message, at_ns)
    return messages.list()


def test_messages_leave_in_the_order_of_their_times() -> None:
    assert waiting((on(60), 30), (on(64), 10), (on(67), 20)) == [
        (10, on(64)),
        (20, on(67)),
        (30, on(60)),
    ]


def test_of_one_time_the_first_to_come_leaves_first() -> None:
    assert waiting((off(60), 10), (on(60), 10), (on(64), 10)) == [
        (10, off(60)),
        (10, on(60)),
        (10, on(64)),
    ]


def test_what_is_to_leave_now_goes_before_what_waits() -> None:
    assert waiting((on(60), 30), (on(72, channel=3), None)) == [
        (NOW, on(72, channel=3)),
        (30, on(60)),
    ]


def test_a_pitch_keeps_its_order_whatever_the_times() -> None:
    """A note-off that overtook the note-on of its pitch would leave a note for ever, and a note-on
    that overtook the note-off of the note before would be ended by it."""
    assert waiting((on(60), 30), (off(60), 20), (on(60), 25)) == [
        (30, on(60)),
        (30, off(60)),
        (30, on(60)),
    ]
    assert waiting((on(60), 30), (off(61), 20)) == [(20, off(61)), (30, on(60))]
    assert waiting((on(60), 30), (off(60, channel=1), 20))[0] == (20, off(60, channel=1))


def test_a_controller_keeps_its_place_among_the_notes_of_its_channel() -> None:
    assert waiting((on(60), 30), (pedal(0), None)) == [(30, on(60)), (30, pedal(0))]
    assert waiting((on(60), 30), (pedal(0, channel=1), None))[0] == (NOW, pedal(0, channel=1))
    assert waiting((pedal(127), 30), (on(60), 20)) == [(30, pedal(127)), (30, on(60))]


def test_a_note_that_is_ended_now_before_it_began_is_never_heard() -> None:
    assert waiting((on(60), 30), (on(64), 30), (off(60), None)) == [(30, on(64))]
    # What ends the note before it still leaves.
    assert waiting((off(60), 30), (on(60), 30), (off(60), None)) == [(30, off(60))]
    # A note-on of velocity 0 is a note-off.
    assert waiting((on(60), 30), (bytes((0x90, 60, 0)), None)) == []
    # One that began and ends before it could be ended plays.
    assert waiting((on(60), 30), (off(60), 40), (off(60), None)) == [
        (30, on(60)),
        (40, off(60)),
        (40, off(60)),
    ]


def test_silence_takes_away_what_waits_also_while_a_pedal_is_down() -> None:
    scheduler = Scheduler()
    for event in (Pass(0, pedal(127)), Strike(30, 1, 0, 60, 64)):
        scheduler.put(event)
    sent = [(m, event.deadline_ns) for messages, event, _ in scheduler.due(30) for m in messages]
    ended = [(message, None) for message in scheduler.release()]
    assert waiting(*sent[1:], *ended) == [(NOW, pedal(0))]


MESSAGES = st.one_of(
    st.builds(on, st.integers(60, 62), st.integers(0, 1)),
    st.builds(off, st.integers(60, 62), st.integers(0, 1)),
    st.builds(pedal, st.sampled_from((0, 127)), st.integers(0, 1)),
)


def is_bound_to(message: bytes, channel: int, pitch: int) -> bool:
    kind = message[0] & 0xF0
    return message[0] & 0x0F == channel and (kind == 0xB0 or message[1] == pitch)


@given(st.lists(st.tuples(MESSAGES, st.integers(0, 9)), max_size=60))
def test_nothing_is_lost_nor_leaves_too_early_nor_overtakes_its_own(
    given: list[tuple[bytes, int]],
) -> None:
    numbered = Waiting()
    for message, at_ns in given:
        numbered.add(message, at_ns)
    left = numbered.list()
    assert sorted(message for _, message in left) == sorted(message for message, _ in given)
    assert [t for t, _ in left] == sorted(t for t, _ in left)
    for channel in range(2):
        for pitch in range(60, 63):
            kept = [m for _, m in left if is_bound_to(m, channel, pitch)]
            assert kept == [m for m, _ in given if is_bound_to(m, channel, pitch)]
    due = sorted(at_ns for _, at_ns in given)
    assert all(t >= at for (t, _), at in zip(left, due, strict=True))


def test_frames_are_where_the_promptest_of_the_latest_periods_says() -> None:
    times = FrameTimes(RATE)
    begun = [times.begin_ns(k * PERIOD, PERIOD, 10**9 + k * PERIOD_NS) for k in range(20)]
    late_by = [900_000, 300_000, 0, 700_000, 1_200_000]
    late = [
        times.begin_ns(k * PERIOD, PERIOD, 10**9 + k * PERIOD_NS + late_by[k % 5])
        for k in range(20, 200)
    ]
    # A third of a nanosecond of every period is not in PERIOD_NS.
    for k, t_ns in enumerate([*begun, *late]):
        assert abs(t_ns - (10**9 + k * PERIOD * 10**9 // RATE)) < 100


def test_a_server_that_stood_still_begins_anew() -> None:
    times = FrameTimes(RATE)
    for k in range(50):
        times.begin_ns(k * PERIOD, PERIOD, k * PERIOD_NS)
    stood_ns = 17_000_000
    for k in range(50, 60):
        t_ns = times.begin_ns(k * PERIOD, PERIOD, k * PERIOD_NS + stood_ns)
        assert abs(t_ns - k * PERIOD_NS - stood_ns) < 100


def test_the_servers_count_comes_round_to_zero() -> None:
    times = FrameTimes(RATE)
    first = 2**32 - 10 * PERIOD
    zero_ns = times.begin_ns(first, PERIOD, 0)
    for k in range(1, 100):
        t_ns = times.begin_ns((first + k * PERIOD) % 2**32, PERIOD, k * PERIOD_NS)
        assert abs(t_ns - zero_ns - k * PERIOD_NS) < 100


def test_a_count_that_jumps_back_is_believed_at_once() -> None:
    for jump in (2 * PERIOD, 10 * PERIOD + 7, 10**6):
        times = FrameTimes(RATE)
        for k in range(50):
            times.begin_ns(10**7 + k * PERIOD, PERIOD, k * PERIOD_NS)
        for k in range(50, 100):
            t_ns = times.begin_ns(10**7 + k * PERIOD - jump, PERIOD, k * PERIOD_NS)
            assert abs(t_ns - k * PERIOD_NS) < 100


def test_days_cost_no_precision() -> None:
    times = FrameTimes(44_100)
    week, step = 7 * 86_400, 20_000  # seconds
    for at in range(0, week, step):
        t_ns = times.begin_ns(at * 44_100 % 2**32, 441, at * 10**9)
        assert t_ns == at * 10**9
