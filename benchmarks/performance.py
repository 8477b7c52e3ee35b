"""One cell of the hand-over benchmark: so many triggers at one tempo in one meter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from .metronome import PLAYER_CHANNEL, STEPS_PER_BEAT, Metronome
from .stage import Stage

_QUEUED = 0.8  # this share of the triggers comes while a completion plays
_LOOK_S = 0.05
_CALM_BEATS = 2.0
_GAPS, _BUSY_GAPS = (0.1, 1.5), (0.02, 0.5)  # beats from one note of the player to the next

Meter = tuple[int, int]
NoteOn = tuple[int, int, int, int]  # step from beat 0, pitch, velocity, length in steps


@dataclass(slots=True)
class Performance:
    """What was asked and heard, in the order of time. Times are monotonic ns."""

    tempo_bpm: float
    meter: Meter
    bars: int
    beat_ns: float = 0.0
    first_ns: float = 0.0  # when beat 0 was sent
    asked_beats: list[float] = field(default_factory=list)  # when each trigger was sent
    start_bars: list[int] = field(default_factory=list)  # of each trigger, as the service said
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    played: list[tuple[int, NoteOn]] = field(default_factory=list)  # request, /rwkv/note/played
    history: list[NoteOn] = field(default_factory=list)  # the model's part of /rwkv/history
    done: list[tuple[int, int, int, int, int, float]] = field(default_factory=list)
    loopback_ms: float = 0.0  # of the stage
    stalls: list[int] = field(default_factory=list)  # when JACK missed a period
    left_out: int = 0  # how often JACK went on without a client

    @property
    def bar_beats(self) -> float:
        return self.meter[0] * 4 / self.meter[1]

    def place_ns(self, step: float) -> float:
        """When the clock that was sent is there."""
        return self.first_ns + step / STEPS_PER_BEAT * self.beat_ns

    def struck(self) -> list[tuple[int, int, int]]:
        """Arrival, pitch and velocity of the service's note-ons."""
        return [(t, m[1], m[2]) for t, m in self.heard if m[0] == 0x90 and m[2]]

    def released(self) -> list[tuple[int, int]]:
        """Arrival and pitch of the service's note-offs."""
        ends = [(t, m) for t, m in self.heard if m[0] in (0x80, 0x90)]
        return [(t, m[1]) for t, m in ends if m[0] == 0x80 or not m[2]]

    def calm(self, errors_ms: Sequence[float]) -> list[float]:
        """The errors of notes before which, for two beats, every period of JACK's was on time."""
        window_ns = _CALM_BEATS * self.beat_ns
        return [
            error
            for (t, _, _), error in zip(self.struck(), errors_ms, strict=False)
            if not any(0 <= t - stall < window_ns for stall in self.stalls)
        ]


def perform(
    stage: Stage,
    tempo_bpm: float,
    meter: Meter,
    triggers: int,
    random: Random,
    progress: Callable[[int], None] = lambda done: None,
    busy: bool = False,
) -> Performance:
    """Conduct, trigger at random moments, and take down everything. The player plays half of the
    time, or, when `busy`, all of it, and up to every bar line. The clock stands still
    before and after."""
    probe, osc = stage.probe, stage.osc
    bars = int(osc.request("/rwkv/get/bars")[0].args[0])
    performance = Performance(tempo_bpm, meter, bars, loopback_ms=stage.loopback_ms)
    osc.request("/rwkv/reset")
    osc.request("/rwkv/transport/meter", *meter)
    stage.events.forget()
    probe.wait()
    probe.heard()
    probe.stalls()
    left_out = stage.left_out()
    metronome = Metronome(probe, tempo_bpm, random, _BUSY_GAPS if busy else _GAPS)
    metronome.play_notes(busy)
    performance.beat_ns, performance.first_ns = metronome.beat_ns, metronome.at_ns(0)
    bar_beats = performance.bar_beats
    next_beat = random.uniform(0.2, 1.0) * bar_beats
    while len(performance.start_bars) < triggers:
        _sleep_until(metronome, next_beat)
        metronome.play_notes(busy or random.random() < 0.5)
        performance.asked_beats.append(metronome.beat_at(time.monotonic_ns()))
        _, start_bar = osc.request("/rwkv/trigger")[-1].args
        performance.start_bars.append(int(start_bar))
        end_bar = int(start_bar) + bars
        if random.random() < _QUEUED:
            next_beat = random.uniform(int(start_bar), end_bar) * bar_beats
        else:
            next_beat = (end_bar + random.uniform(0.0, 1.0)) * bar_beats
        next_beat = max(next_beat, metronome.beat_at(time.monotonic_ns()))
        progress(len(performance.start_bars))
    _sleep_until(metronome, (performance.start_bars[-1] + bars + 1) * bar_beats)
    _take_down(performance, metronome, stage)
    performance.left_out = stage.left_out() - left_out
    return performance


def _sleep_until(metronome: Metronome, beat: float) -> None:
    while (rest_ns := metronome.at_ns(beat) - time.monotonic_ns()) > 0:
        metronome.feed()
        time.sleep(min(rest_ns / 1e9, _LOOK_S))


def _take_down(performance: Performance, metronome: Metronome, stage: Stage) -> None:
    for _, message in stage.events.of("/rwkv/note/played"):
        request, beat, pitch, velocity, beats = message.args
        note = (_steps(beat), int(pitch), int(velocity), _steps(beats))
        performance.played.append((int(request), note))
    for message in stage.osc.request("/rwkv/history")[:-1]:
        beat, pitch, velocity, beats, who = message.args
        if who == "model":
            performance.history.append((_steps(beat), int(pitch), int(velocity), _steps(beats)))
    performance.done = [message.args for _, message in stage.events.of("/rwkv/done")]
    metronome.stop()
    stage.probe.wait()
    time.sleep(0.1)
    performance.heard = stage.probe.heard()
    performance.stalls = stage.probe.stalls()


def _steps(beats: float | int | str) -> int:
    return round(float(beats) * STEPS_PER_BEAT)


def in_order(notes: Sequence[NoteOn]) -> list[NoteOn]:
    """Notes by step and pitch."""
    return sorted(notes)


__all__ = ["PLAYER_CHANNEL", "Meter", "NoteOn", "Performance", "in_order", "perform"]
