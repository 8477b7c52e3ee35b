"""Real-time priority, and what is done without it."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from rwkv_music_daemon.priority import MAKING, SENDING, at_leisure

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's scheduler")


def test_making_gives_way_to_sending() -> None:
    assert 0 < MAKING < SENDING < 5  # JACK's clients have 5


@needs_linux
def test_leisure_is_ordinary_and_ends_as_it_began() -> None:
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((os.sched_getscheduler(0), os.sched_getparam(0).sched_priority))

    def work() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(MAKING))
        except PermissionError:
            return
        with at_leisure():
            look()
        look()

    thread = threading.Thread(target=work)  # whose priority ends with it
    thread.start()
    thread.join()
    if not seen:
        pytest.skip("this user may not run threads at real-time priority")
    assert seen == [(os.SCHED_OTHER, 0), (os.SCHED_FIFO, MAKING)]


@needs_linux
def test_those_who_help_are_at_leisure_too() -> None:
    """An engine's threads, which would go before whatever their caller gives way to."""
    seen: list[int] = []
    ready, end = threading.Event(), threading.Event()

    def help_() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(MAKING))
            seen.append(os.sched_getscheduler(0))
        except PermissionError:
            pass
        ready.set()
        end.wait(10)

    helper = threading.Thread(target=help_)
    helper.start()
    ready.wait(10)
    assert helper.native_id is not None
    if seen:
        with at_leisure():
            seen.append(os.sched_getscheduler(helper.native_id))
        seen.append(os.sched_getscheduler(helper.native_id))
    end.set()
    helper.join()
    if not seen:
        pytest.skip("this user may not run threads at real-time priority")
    assert seen == [os.SCHED_FIFO, os.SCHED_OTHER, os.SCHED_FIFO]


@needs_linux
def test_an_ordinary_thread_stays_one() -> None:
    before = os.sched_getscheduler(0)
    with at_leisure():
        assert os.sched_getscheduler(0) == before
    assert os.sched_getscheduler(0) == before
