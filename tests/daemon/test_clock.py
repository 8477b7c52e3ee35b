"""Clocks, and the watch for a machine that was asleep."""

from __future__ import annotations

import threading

from rwkv_music_daemon.clock import ManualClock, SleepWatch, SystemClock, real_ns

SECOND = 1_000_000_000


def test_the_system_clock_never_ends_a_wait_early() -> None:
    clock = SystemClock()
    for ahead_ns in (0, 50_000, 400_000, 2_000_000):
        deadline_ns = clock.now_ns() + ahead_ns
        assert clock.wait_until_ns(deadline_ns, threading.Event())
        assert clock.now_ns() >= deadline_ns
        deadline_ns = clock.now_ns() + ahead_ns
        assert clock.wait_until_ns(deadline_ns)
        assert clock.now_ns() >= deadline_ns


def test_the_system_clock_is_woken() -> None:
    clock, wake = SystemClock(), threading.Event()
    threading.Timer(0.02, wake.set).start()
    assert not clock.wait_until_ns(clock.now_ns() + 60 * SECOND, wake)
    assert wake.is_set()
    # Also in the last half millisecond, when it spins.
    assert not clock.wait_until_ns(clock.now_ns() + 100_000_000_000, wake)


def test_the_manual_clock_moves_as_told_and_never_back() -> None:
    clock = ManualClock(5)
    clock.advance_to_ns(9)
    clock.advance_to_ns(7)
    clock.advance_ns(1)
    assert clock.now_ns() == 10


def test_the_manual_clock_holds_a_thread_until_its_deadline() -> None:
    clock, ended = ManualClock(), threading.Event()

    def wait() -> None:
        assert clock.wait_until_ns(100)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    clock.advance_to_ns(99)
    assert not ended.wait(0.02)
    clock.advance_to_ns(100)
    assert ended.wait(10)
    thread.join()


def test_the_manual_clock_is_woken() -> None:
    wake = threading.Event()
    threading.Timer(0.01, wake.set).start()
    assert not ManualClock().wait_until_ns(100, wake)


def test_a_flowing_clock_goes_where_it_is_waited_for() -> None:
    clock = ManualClock(flows=True)
    assert clock.wait_until_ns(70)
    assert clock.wait_until_ns(30)
    assert clock.now_ns() == 70


def test_a_clock_that_stood_still_in_a_suspend_shows_it() -> None:
    watch = SleepWatch()
    assert watch.look(0, 1000 * SECOND) == 0
    assert watch.look(SECOND // 2, 1000 * SECOND + SECOND // 2) == 0
    # Half a second of our clock, but an hour of the world's.
    assert watch.look(SECOND, 4601 * SECOND, asked_ns=SECOND // 2) == 3600 * SECOND
    assert watch.look(SECOND + 1, 4601 * SECOND + 1) == 0


def test_a_clock_that_ran_on_shows_a_gap() -> None:
    watch = SleepWatch()
    watch.look(0, 0, asked_ns=SECOND // 4)
    assert watch.look(10 * SECOND, 10 * SECOND, asked_ns=SECOND // 4) == 9_750_000_000
    assert watch.look(12 * SECOND, 12 * SECOND, asked_ns=2 * SECOND) == 0


def test_a_wall_clock_set_back_or_slightly_on_is_no_sleep() -> None:
    watch = SleepWatch()
    watch.look(0, 5000 * SECOND)
    assert watch.look(SECOND // 10, 1000 * SECOND) == 0
    assert watch.look(SECOND // 5, 1000 * SECOND + SECOND) == 0


def test_the_real_clock_runs() -> None:
    watch = SleepWatch()
    clock = SystemClock()
    watch.look(clock.now_ns(), real_ns())
    clock.wait_until_ns(clock.now_ns() + 2_000_000)
    assert watch.look(clock.now_ns(), real_ns(), asked_ns=2_000_000) < 10 * SECOND
