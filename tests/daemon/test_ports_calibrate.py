"""calibrate's measurement, on a cable in memory."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.commands.calibrate import Loopback, _named, measure, report
from rwkv_music_daemon.ports.memory import MemoryInput, MemoryOutput

from rwkv_music.errors import PortError


class Cable(MemoryOutput):
    """Brings each message to an input, later; drops every so-manieth note."""

    def __init__(self, clock: ManualClock, delay_ns: int, drops: int = 0) -> None:
        super().__init__("out", clock)
        self.end = MemoryInput("in", clock)
        self._now_ns = clock.now_ns
        self._delay_ns = delay_ns
        self._drops = drops

    def send(self, message: bytes, at_ns: int | None = None) -> None:
        super().send(message)
        if not (self._drops and message[1] % self._drops == 0):
            self.end.push(message, self._now_ns() + self._delay_ns)


def test_the_delay_is_the_cables() -> None:
    clock = ManualClock(flows=True)
    cable = Cable(clock, 7_300_000)
    found = measure(cable, cable.end, clock, 300)
    assert (found.sent, found.lost) == (300, 0)
    assert found.median_ms == found.percentile_ms(0.99) == pytest.approx(7.3)
    assert found.nudge_ms == -7.3
    assert "generation.nudge_ms: -7.3" in "\n".join(report(found))


def test_every_note_ends() -> None:
    clock = ManualClock(flows=True)
    cable = Cable(clock, 1_000_000)
    measure(cable, cable.end, clock, 12)
    ons = [m[1] for _, m in cable.sent if m[0] == 0x9F]
    assert ons == [m[1] for _, m in cable.sent if m[0] == 0x8F]


def test_lost_notes_are_counted_and_waited_for_no_longer_than_needed() -> None:
    clock = ManualClock(flows=True)
    cable = Cable(clock, 2_000_000, drops=4)
    found = measure(cable, cable.end, clock, 100)
    assert found.lost == 25
    assert found.median_ms == pytest.approx(2.0)


def test_percentiles_of_few() -> None:
    found = Loopback((1.0, 2.0, 9.0), 3)
    assert (found.percentile_ms(0.0), found.percentile_ms(0.99)) == (1.0, 9.0)


def test_a_port_is_named_in_full_or_by_a_part_that_only_it_has() -> None:
    names = ("USB MIDI:in", "USB MIDI:in 2", "Piano:in")
    assert _named("USB MIDI:in", names) == "USB MIDI:in"
    assert _named("Piano", names) == "Piano:in"
    with pytest.raises(PortError, match="fits several"):
        _named("USB", names)
    with pytest.raises(PortError, match=r"not there.*Piano:in"):
        _named("Organ", names)
