"""Fours with a scripted player, to a MIDI clock whose tempo changes: as long as anybody plays.

RWKV_MUSIC_TRADE_BARS says how many bars (`make abuse`: 4,200, an hour).
"""

from __future__ import annotations

import os
from random import Random

import pytest
from performances import fresh_state
from rwkv_music_daemon.assembled_bar import AssembledBar
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, hung, lift, ms, onsets_ms, play_note, press, rehearsal

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter

BARS = int(os.environ.get("RWKV_MUSIC_TRADE_BARS", "200"))
TURN = 4  # bars
METER = Meter(3, 4)
TICKS_PER_BAR = METER.numerator * 24
MOST_OFF_MS = 3.0  # the clock is foreseen through a ramp


def tempo_bpm(bar: float) -> float:
    """200, and 10 % more in the middle."""
    return 200 * (1 + 0.1 * (1 - abs(2 * bar / BARS - 1)))


def tick_times_ns(bars: int) -> list[int]:
    times, t_ns = [], 1e9
    for tick in range(bars * TICKS_PER_BAR + 1):
        times.append(round(t_ns))
        t_ns += 60e9 / 24 / tempo_bpm(tick / TICKS_PER_BAR)
    return times


class Fours:
    """The clock ticks, and the player plays his turns: on the line, off the grid, and over it."""

    def __init__(self) -> None:
        transport = Transport(120.0, METER, "midi_clock")
        self.r = Rehearsal(ScriptedModel(), Generation(), transport)
        self.r.conductor.set_mode("trade", TURN, TURN)
        self.bars: dict[int, AssembledBar] = {}
        self._random = Random(1)
        self._to_lift: dict[int, int] = {}  # tick -> pitch

    def play(self, times_ns: list[int]) -> None:
        transport = self.r.transport
        transport.midi_start(0)
        for tick, t_ns in enumerate(times_ns):
            self.r.run_until_ns(t_ns)
            transport.midi_tick(t_ns)
            self.r.conductor.follow_transport(t_ns)
            self._play_notes(tick)
            if tick % (100 * TICKS_PER_BAR) == 0:
                self._remember_bars()
        self._remember_bars()

    def _play_notes(self, tick: int) -> None:
        if tick in self._to_lift:
            self.r.play(lift(self._to_lift.pop(tick)))
        bar, place = divmod(tick, TICKS_PER_BAR)
        last = bar % (2 * TURN) == TURN - 1 and place == TICKS_PER_BAR - 7
        if bar % (2 * TURN) < TURN and (place == 0 or last or self._random.random() < 0.05):
            pitch = 40 + tick % 11
            if pitch not in self._to_lift.values():
                self.r.play(press(pitch, self._random.randint(1, 127)))
                while (ends := tick + self._random.randint(3, 30)) in self._to_lift:
                    pass
                self._to_lift[ends] = pitch

    def _remember_bars(self) -> None:
        """The history forgets them in time; a bar that is told later is still the same object."""
        self.bars |= {bar.serial: bar for bar in self.r.conductor.assembler.bars}


def test_two_hundred_bars_of_fours_while_the_tempo_changes() -> None:
    times_ns = tick_times_ns(BARS)
    fours = Fours()
    fours.play(times_ns)
    r = fours.r
    turns = [bar for bar in range(BARS) if bar % (2 * TURN) >= TURN]
    beats = [bar * METER.beats + beat for bar in turns for beat in range(METER.numerator)]
    played = [beat for _, beat, *_ in events(r, "/rwkv/note/played")]
    assert played == beats
    sounded_ms = [t / 1e6 for t, m in r.sent if m[0] == 0x90]
    places_ms = [times_ns[round(beat * 24)] / 1e6 for beat in beats]
    assert sounded_ms == pytest.approx(places_ms, abs=MOST_OFF_MS)
    whose = [who for who, _ in events(r, "/rwkv/turn")]
    assert whose[:BARS] == ["model" if bar in turns else "player" for bar in range(BARS)]
    for _, _, notes, _, dropped, _ in events(r, "/rwkv/done"):
        assert (notes, dropped) == (TURN * METER.numerator, 0)
    r.run_until_ns(times_ns[-1] + ms(100))
    r.conductor.stop(r.clock.now_ns())
    r.step()
    assert hung(r) == set()
    assert r.output.sounding == 0
    bars = [fours.bars[serial] for serial in sorted(fours.bars)]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel(), bars)


def jump(r: Rehearsal, beat: float) -> None:
    r.transport.start_internal(beat, r.clock.now_ns())
    r.conductor.follow_transport(r.clock.now_ns())


@pytest.mark.parametrize("at_ms", [3000, 3990, 5000])  # our turn is armed, asked for, being played
@pytest.mark.parametrize("to_beat", [10.5, 1.25])
def test_after_a_jump_the_players_turn_is_the_players(at_ms: float, to_beat: float) -> None:
    r = rehearsal()
    r.conductor.set_mode("trade", 2, 1)
    r.transport.play(0)
    play_note(r, 200, 50, 200)
    r.run_until_ns(ms(at_ms))
    jump(r, to_beat)
    before = len(events(r, "/rwkv/turn"))
    r.run_until_ns(ms(at_ms + 9000))
    bar_beats = 4
    line = to_beat // bar_beats * bar_beats
    ours_ms = at_ms + (line + 2 * bar_beats - to_beat) * 500
    after = [t for t in onsets_ms(r) if t > at_ms]
    assert after[:4] == pytest.approx([ours_ms + 500 * k for k in range(4)], abs=0.01)
    assert events(r, "/rwkv/turn")[before - 1 :][:3] == [
        ("player", 2),
        ("player", 1),
        ("model", 1),
    ]
    r.conductor.stop(r.clock.now_ns())
    assert hung(r) == set()


def test_what_was_set_once_for_a_turn_that_was_not_taken_is_for_the_next() -> None:
    r = rehearsal(bars=1)
    r.conductor.set_mode("trade", 2, 1)
    r.ask("/rwkv/once/channel_out", 3)
    r.transport.play(0)
    r.run_until_ns(ms(3000))
    assert r.conductor.state == "armed"
    jump(r, 10.5)
    r.run_until_ns(ms(16_000))
    channels = [m[0] & 0x0F for _, m in r.sent if m[0] & 0xF0 == 0x90]
    assert channels[:5] == [2, 2, 2, 2, 0]


@pytest.mark.parametrize(
    ("listen_bars", "deed", "asked_ms", "bar"),
    [
        (2, "trigger", 500, 1),
        (2, "trigger", 8500, 5),
        (2, "select", 8500, 5),
        (2, "again", 8500, 5),
        (1, "trigger", 5500, 3),  # behind what plays
    ],
)
def test_what_was_asked_for_the_line_before_our_turn_is_played_instead_of_it(
    listen_bars: int, deed: str, asked_ms: float, bar: int
) -> None:
    r = rehearsal(bars=2)
    r.conductor.set_mode("trade", listen_bars, 2)
    r.transport.play(0)
    r.run_until_ns(ms(asked_ms))
    match deed:
        case "select":
            request, accepted = r.conductor.select(r.clock.now_ns(), 0)
        case "again":
            request, accepted = r.conductor.regenerate(r.clock.now_ns())
        case _:
            request, accepted = r.conductor.trigger(r.clock.now_ns())
    assert accepted == bar
    r.run_until_ns(ms((bar + 2) * 2000 - 10))
    played = [(number, beat) for number, beat, *_ in events(r, "/rwkv/note/played")]
    assert played[-8:] == [(request, bar * 4 + beat) for beat in range(8)]
