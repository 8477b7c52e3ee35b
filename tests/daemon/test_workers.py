"""The links to the models' processes: one plays, one waits, and either may be gone at any time."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator

import pytest
from rwkv_music_daemon.links import Hub, Link, call
from rwkv_music_daemon.messages import Message, Ready
from rwkv_music_daemon.workers import Workers

TOKEN = "0123456789abcdef"


class House:
    """Workers, those who call them, and what comes of it."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.losses = 0
        self._selector = selectors.DefaultSelector()
        self._hub = Hub(TOKEN)
        self.workers = Workers(self._hub, self._selector, self.heard.append, self._lose)
        self._callers: list[Link] = []

    def _lose(self) -> None:
        self.losses += 1

    def come(self, name: str, *said: Message) -> Link:
        link = call(self._hub.port, name, TOKEN)
        link.send(*said)
        self._callers.append(link)
        return link

    def look(self) -> int:
        """As the io loop does; how much there was to be read."""
        readable = self._selector.select(0)
        for key, _ in readable:
            key.data()
        self.workers.look()
        return len(readable)

    def until(self, is_so: Callable[[], object]) -> None:
        ends_s = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < ends_s
            self.look()
            time.sleep(0.001)

    def close(self) -> None:
        self.workers.close()
        self._selector.close()
        for link in self._callers:
            link.close()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.close()


def playing(house: House) -> Link:
    first = house.come("worker", Ready("first", 5))
    house.until(lambda: house.heard)
    return first


def test_one_that_waits_takes_over_and_what_it_said_is_heard_then(house: House) -> None:
    playing(house)
    house.come("worker-2", Ready("second", 7))
    house.until(lambda: house.workers.one_is_ready)
    assert house.heard == [Ready("first", 5)]
    house.workers.change()
    assert house.heard == [Ready("first", 5), Ready("second", 7)]
    assert (house.workers.name, house.losses) == ("worker-2", 0)
    assert not house.workers.one_is_ready


def test_one_that_dies_while_it_waits_is_noticed_and_not_employed(house: House) -> None:
    first = playing(house)
    second = house.come("worker-2", Ready("second", 7))
    house.until(lambda: house.workers.one_is_ready)
    second.close()
    house.until(lambda: not house.workers.one_is_ready)
    for _ in range(5):
        assert house.look() == 0  # nor is it looked at again and again
    house.workers.change()
    first.send(Ready("still the first", 5))
    house.until(lambda: len(house.heard) == 2)
    assert (house.workers.name, house.losses) == ("worker", 0)


def test_one_that_plays_and_dies_is_lost_and_the_next_caller_plays(house: House) -> None:
    playing(house).close()
    house.until(lambda: house.losses)
    house.workers.send(Ready("to nobody", 0))
    house.come("worker", Ready("again", 5))
    house.until(lambda: len(house.heard) == 2)
    assert house.losses == 1


def test_a_third_caller_takes_the_place_of_the_one_that_waits(house: House) -> None:
    playing(house)
    for name in ("second", "third"):
        house.come("worker-2", Ready(name, 7))
        house.until(lambda: house.workers.one_is_ready)
    house.until(lambda: house.look() == 0)
    house.workers.change()
    assert house.heard[-1] == Ready("third", 7)
