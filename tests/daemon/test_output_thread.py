"""The thread that sends: in order, woken by what is earlier, and never leaving a note behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random

import pytest
from rwkv_music_daemon.clock import ManualClock, SystemClock
from rwkv_music_daemon.output_thread import Output, OutputThread
from rwkv_music_daemon.ports.memory import MemoryOutput
from rwkv_music_daemon.scheduler import Pass, Release, Strike

MS = 1_000_000


def manual() -> tuple[ManualClock, MemoryOutput, Output]:
    clock = ManualClock()
    port = MemoryOutput("Out", clock)
    return clock, port, Output(port, clock)


def until(is_so: Callable[[], object]) -> None:
    ends_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.001)


def test_pump_sends_what_is_due_and_says_what_is_next() -> None:
    clock, port, output = manual()
    output.put(Strike(5, 1, 0, 60, 80), Release(9, 1, 0, 60))
    assert output.pump() == 5
    clock.advance_to_ns(5)
    assert output.pump() == 9
    assert port.sent == [(5, bytes((0x90, 60, 80)))]
    assert output.sounding == 1
    clock.advance_to_ns(9)
    assert output.pump() is None
    assert output.sounding == 0


def test_what_went_out_is_told_once() -> None:
    clock, _, output = manual()
    first, second = Strike(1, 1, 0, 60, 80), Strike(2, 2, 0, 60, 80)
    output.put(first, second)
    clock.advance_to_ns(3)
    output.pump()
    told = output.take_sent()
    assert [(s.event, s.sent_ns, s.cut) for s in told] == [(first, 3, None), (second, 3, 1)]
    assert output.take_sent() == []


def test_stop_ends_what_sounds_and_drops_what_was_to_come() -> None:
    clock, port, output = manual()
    output.put(Strike(1, 1, 0, 60, 80), Strike(1, 2, 0, 64, 80), Strike(8, 1, 0, 67, 80))
    clock.advance_to_ns(1)
    output.pump()
    output.stop({1})
    assert [message for _, message in port.sent[2:]] == [bytes((0x80, 60, 0))]
    output.stop()
    clock.advance_to_ns(10)
    output.pump()
    assert [message for _, message in port.sent[3:]] == [bytes((0x80, 64, 0))]


def test_messages_sent_at_once_leave_the_ledger_alone() -> None:
    _, port, output = manual()
    output.put(Strike(0, 1, 0, 60, 80))
    output.pump()
    output.send_now(bytes((0xB0, 123, 0)), bytes((0xB0, 120, 0)))
    assert output.sounding == 1
    assert len(port.sent) == 3


def test_the_thread_sends_in_order_and_never_early() -> None:
    clock = SystemClock()
    port = MemoryOutput("Out", clock)
    output = Output(port, clock)
    thread = OutputThread(output)
    thread.start()
    start_ns = clock.now_ns() + 20 * MS
    due = {pitch: start_ns + 3 * MS * pitch for pitch in range(20)}
    for pitch in reversed(due):  # each one is earlier than all before
        output.put(Strike(due[pitch], pitch + 1, 0, pitch, 80))
    until(lambda: len(port.sent) == 20)
    thread.end()
    assert not thread.is_alive()
    assert [message[1] for _, message in port.sent] == list(due)
    assert all(t_ns >= due[message[1]] for t_ns, message in port.sent)


def test_an_idle_thread_sends_what_comes_late_at_once_and_ends_when_told() -> None:
    clock = SystemClock()
    port = MemoryOutput("Out", clock)
    output = Output(port, clock)
    thread = OutputThread(output)
    thread.start()
    output.put(Pass(0, b"\xb0\x07\x40"))
    until(lambda: port.sent)
    thread.end()
    assert not thread.is_alive()


def test_stops_from_another_thread_leave_nothing_sounding() -> None:
    clock = SystemClock()
    port = MemoryOutput("Out", clock)
    output = Output(port, clock)
    thread = OutputThread(output)
    thread.start()
    random = Random(1)
    stopper = threading.Thread(
        target=lambda: [(time.sleep(0.002), output.stop()) for _ in range(50)]
    )
    stopper.start()
    owner = 0
    while stopper.is_alive():
        owner += 1
        now_ns, pitch = clock.now_ns(), random.randint(60, 64)
        output.put(
            Strike(now_ns + random.randint(0, 2 * MS), owner, 0, pitch, 80),
            Release(now_ns + random.randint(2 * MS, 4 * MS), owner, 0, pitch),
        )
        time.sleep(0.0005)
    stopper.join()
    thread.end()
    output.stop()
    sounding: set[int] = set()
    for _, message in port.sent:
        if message[0] == 0x90:
            assert message[1] not in sounding
            sounding.add(message[1])
        else:
            sounding.remove(message[1])
    assert sounding == set()
    assert output.sounding == 0


class TimedPort(MemoryOutput):
    """A port of a system that knows times: it remembers the time that each message is for."""

    latency_ns = 2 * MS

    def send(self, message: bytes, at_ns: int | None = None) -> int:
        leaves_ns = max(at_ns or 0, self._clock.now_ns() + self.latency_ns)
        self.sent.append((leaves_ns, message))
        return leaves_ns


def timed() -> tuple[ManualClock, TimedPort, Output]:
    clock = ManualClock()
    port = TimedPort("Out", clock)
    return clock, port, Output(port, clock)


def test_where_times_are_known_events_go_out_early_and_leave_at_theirs() -> None:
    clock, port, output = timed()
    assert output.latency_ns > port.latency_ns  # for this thread may be late itself
    output.put(Strike(100 * MS, 1, 0, 60, 80))
    assert output.pump() == 100 * MS - output.latency_ns
    assert port.sent == []
    clock.advance_to_ns(100 * MS - output.latency_ns)
    assert output.pump() is None
    assert port.sent == [(100 * MS, bytes((0x90, 60, 80)))]


def test_what_is_on_its_way_is_told_when_it_has_left() -> None:
    clock, _, output = timed()
    output.put(Strike(100 * MS, 1, 0, 60, 80))
    clock.advance_to_ns(96 * MS)
    output.pump()
    assert output.take_sent() == []
    clock.advance_to_ns(100 * MS)
    assert [told.sent_ns for told in output.take_sent()] == [100 * MS]


def test_what_comes_too_late_is_told_to_have_left_late() -> None:
    clock, _, output = timed()
    clock.advance_to_ns(99 * MS)
    output.put(Strike(100 * MS, 1, 0, 60, 80))
    output.pump()
    clock.advance_to_ns(110 * MS)
    assert [told.sent_ns for told in output.take_sent()] == [101 * MS]


def test_stop_ends_what_is_on_its_way_now() -> None:
    clock, port, output = timed()
    output.put(Strike(100 * MS, 1, 0, 60, 80))
    clock.advance_to_ns(96 * MS)
    output.pump()
    output.stop()
    assert port.sent[-1] == (98 * MS, bytes((0x80, 60, 0)))  # without a time: as soon as can be
    assert output.sounding == 0


class StandingPort(TimedPort):
    """One whose system stands still: it takes no more than there is place for."""

    places = 1000

    def send(self, message: bytes, at_ns: int | None = None) -> int | None:
        if len(self.sent) >= self.places:
            return None
        return super().send(message, at_ns)


def standing() -> tuple[ManualClock, StandingPort, Output]:
    clock = ManualClock()
    port = StandingPort("Out", clock)
    return clock, port, Output(port, clock)


def test_what_ends_a_sound_and_is_refused_goes_out_first_when_there_is_place_again() -> None:
    clock, port, output = standing()
    output.put(Strike(0, 1, 0, 60, 80), Pass(0, b"\xb0\x40\x7f"), Strike(0, 2, 0, 64, 80))
    output.pump()
    port.places = len(port.sent)
    output.put(Release(0, 1, 0, 60), Pass(0, b"\xb0\x40\x00"), Strike(0, 3, 0, 67, 80))
    again_ns = output.pump()
    assert again_ns is not None
    assert again_ns > clock.now_ns()  # by itself, though nothing is due
    clock.advance_to_ns(again_ns)
    assert output.pump() is not None
    port.places = 1000
    output.put(Strike(0, 4, 0, 60, 90))
    assert output.pump() is None
    ended, pedal, struck = (message for _, message in port.sent[3:])
    assert (ended, pedal) == (bytes((0x80, 60, 0)), b"\xb0\x40\x00")
    assert struck == bytes((0x90, 60, 90))  # and 67 would come too late


def test_a_stop_that_is_refused_wakes_the_thread_until_it_is_heard() -> None:
    port = StandingPort("Out", SystemClock())
    output = Output(port, SystemClock())
    thread = OutputThread(output)
    thread.start()
    output.put(Strike(0, 1, 0, 60, 80))
    until(lambda: port.sent)
    port.places = 1
    output.stop()
    assert output.sounding == 0
    port.places = 1000
    until(lambda: len(port.sent) > 1)
    thread.end()
    assert [message for _, message in port.sent[1:]] == [bytes((0x80, 60, 0))]


@pytest.mark.parametrize(("stopped_ms", "is_told"), [(96, False), (97.5, False), (99, True)])
def test_what_stop_takes_away_before_it_has_left_is_not_told_to_have_sounded(
    stopped_ms: float, is_told: bool
) -> None:
    """What comes after it: a note-off leaves 2 ms later."""
    clock, _, output = timed()
    older, strike = Strike(50 * MS, 1, 0, 60, 70), Strike(100 * MS, 2, 0, 60, 80)
    other = Strike(100 * MS, 3, 0, 64, 80)
    output.put(older, strike, other)
    for at_ms in (50, 96):
        clock.advance_to_ns(at_ms * MS)
        output.pump()
    assert [told.event for told in output.take_sent()] == [older]
    clock.advance_to_ns(round(stopped_ms * MS))
    output.stop({2})
    clock.advance_to_ns(110 * MS)
    told = output.take_sent()
    assert [t.event for t in told if isinstance(t.event, Strike)] == [strike] * is_told + [other]
    assert [t.cut for t in told] == [1, None]  # the note before it has ended all the same
