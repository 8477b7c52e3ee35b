"""The web page's process: started with the service, started again, ended with it."""

from __future__ import annotations

import subprocess

import pytest
from rwkv_music_daemon import monitor_child as module
from rwkv_music_daemon.boot import Boot
from rwkv_music_daemon.config import Config
from rwkv_music_daemon.config_sections import MonitorConfig
from supervised_house import House


class FakePipe:
    def __init__(self, process: FakeProcess) -> None:
        self._process = process

    def close(self) -> None:
        if self._process.obeys:
            self._process.code = 0


class FakeProcess:
    """Ends when its pipe closes, if it obeys."""

    def __init__(self, obeys: bool = True) -> None:
        self.obeys = obeys
        self.code: int | None = None
        self.killed = False
        self.stdin = FakePipe(self)

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None:
            raise subprocess.TimeoutExpired("monitor", timeout or 0)
        return self.code

    def kill(self) -> None:
        self.killed, self.code = True, -9


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[FakeProcess]:
    processes: list[FakeProcess] = []

    def start(name: str, boot: Boot, keeps_pipe: bool = False) -> FakeProcess:
        assert (name, boot.name, keeps_pipe) == ("monitor_process", "monitor", True)
        processes.append(FakeProcess())
        return processes[-1]

    monkeypatch.setattr(module, "start_child", start)
    return processes


def child() -> module.MonitorChild:
    return module.MonitorChild(Boot.of("monitor", Config(), "", 0))


def test_one_that_ends_is_started_again_ever_more_slowly(started: list[FakeProcess]) -> None:
    page = child()
    for now_s in range(1000):
        page.look(float(now_s))
        started[-1].code = 1
    assert 10 < len(started) < 40


def test_one_that_runs_is_left_alone(started: list[FakeProcess]) -> None:
    page = child()
    for now_s in range(100):
        page.look(float(now_s))
    assert len(started) == 1


def test_one_that_the_system_refuses_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    page, now_s = child(), 0.0

    def refuse(*words: object, **options: object) -> FakeProcess:
        asked.append(now_s)
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(module, "start_child", refuse)
    for tick in range(400):
        now_s = tick / 4
        page.look(now_s)
    page.end()
    assert asked == [0, 1, 3, 7, 15, 31, 63]


@pytest.mark.parametrize("obeys", [True, False])
def test_it_ends_with_its_pipe_or_is_ended(started: list[FakeProcess], obeys: bool) -> None:
    page = child()
    page.look(0.0)
    started[0].obeys = obeys
    page.end()
    page.end()
    assert started[0].code is not None
    assert started[0].killed is not obeys


def test_the_supervisor_starts_it_when_the_service_is_up(
    house: House, started: list[FakeProcess]
) -> None:
    boot = Boot.of("monitor", Config(monitor=MonitorConfig(enabled=True)), "", 0)
    house.supervisor._monitor = module.MonitorChild(boot)
    house.run_until(lambda: house.children["io"])
    assert started == []
    house.come_up()
    house.run_until(lambda: started)
    house.end()
    assert started[0].code == 0


def test_nobody_starts_one_that_is_not_wanted(house: House, started: list[FakeProcess]) -> None:
    house.come_up()
    house.end()
    assert started == []
