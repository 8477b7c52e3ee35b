"""Hears a MIDI clock to the frame, in a process of its own, and may lead JACK's transport.

What a driver that is polled learns of an event is the period that it came in; JACK itself knows the
frame. That is the truth that a filter is measured against.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jack

Step = tuple[float, float]  # from that beat on, that many quarters a minute
Cycle = tuple[int, int]  # JACK's first frame of a period, and the nanosecond when its turn came

_TAP = "Clock Tap"
PORT = f"{_TAP}:in"
_LOOKED_AT = 48  # periods; a quarter of a second at 256 frames
_LATE_NS = 3e6  # a period that comes so late is JACK, or the machine, standing still


@dataclass(frozen=True, slots=True)
class Heard:
    """System messages with the nanosecond (monotonic) of the frame that they were sent for, when
    each beat of JACK's transport was, if that was led, and when JACK stood still meanwhile."""

    messages: list[tuple[float, int]]
    beats_ns: list[float]
    stalls_ns: list[int]

    @property
    def counted_ns(self) -> list[float]:
        """When each beat was, as the ticks say since the last start."""
        return self.ticks_ns()[::24]

    def ticks_ns(self) -> list[float]:
        """Those of the ticks since the last start."""
        begins = max(
            (k for k, (_, status) in enumerate(self.messages) if status == 0xFA), default=0
        )
        return [t_ns for t_ns, status in self.messages[begins:] if status == 0xF8]


class ClockTap:
    """A port `Clock Tap:in`. With `steps` it is the master of JACK's timebase, and starts it."""

    def __init__(self, env: Mapping[str, str], steps: Sequence[Step] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(env),
        )
        self._answer()

    def roll(self) -> None:
        """Start JACK's transport from the top."""
        self._ask("roll")

    def end(self) -> Heard:
        """Stop everything; what was heard."""
        answer = self._ask("end")
        self._process.wait(5)
        messages = [(t_ns, status) for t_ns, status in answer["messages"]]
        return Heard(messages, answer["beats"], answer["stalls"])

    def close(self) -> None:
        """End it, whatever it does; may be called again."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _ask(self, order: str) -> Any:
        if self._process.stdin is None:
            raise RuntimeError("the clock tap has no orders' pipe")
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"the clock tap ended with {self._process.wait()}")
        return json.loads(line)


class _Timebase:
    """Frames to bars and beats, under tempi that change."""

    def __init__(self, steps: Sequence[Step], rate: int) -> None:
        self._parts: list[tuple[float, float, float]] = []  # first frame, first beat, frames a beat
        frame = beat = 0.0
        for at, bpm in steps:
            if self._parts:
                frame += (at - beat) * self._parts[-1][2]
            beat = at
            self._parts.append((frame, beat, 60 * rate / bpm))
        self._rate = rate

    def beats(self, frames: int) -> list[int]:
        """The frame of each beat among the first so many."""
        found: list[int] = []
        while True:
            first, beat, per_beat = [part for part in self._parts if part[1] <= len(found)][-1]
            frame = round(first + (len(found) - beat) * per_beat)
            if frame >= frames:
                return found
            found.append(frame)

    def fill(self, position: Any) -> None:
        parts = [part for part in self._parts if part[0] <= position.frame]
        first, beat, frames = parts[-1]
        at = beat + (position.frame - first) / frames
        position.valid = jack.POSITION_BBT
        position.bar, position.beat = int(at // 4) + 1, int(at % 4) + 1
        position.tick = int(at % 1 * 1920)
        position.bar_start_tick = at // 4 * 4 * 1920
        position.beats_per_bar = position.beat_type = 4.0
        position.ticks_per_beat = 1920.0
        position.beats_per_minute = 60 * self._rate / frames


def in_ns(frames: Sequence[int], cycles: Sequence[Cycle], rate: int) -> list[float]:
    """When these frames began. JACK's own estimate of that (`frame_time`) is a filter that takes
    seconds to forget a cycle that came late; but a cycle comes late and never early, so of those
    that follow a frame the promptest knows best. Those before it do not count: when JACK has stood
    still, its frames begin anew from a later moment. Both in ascending order."""
    zeros = [t_ns - 1e9 * first / rate for first, t_ns in cycles]
    times: list[float] = []
    at = 0
    for frame in frames:
        while at + 1 < len(cycles) and cycles[at + 1][0] <= frame:
            at += 1
        times.append(min(zeros[at : at + _LOOKED_AT]) + 1e9 * frame / rate)
    return times


def stalls(cycles: Sequence[Cycle], period_ns: float) -> list[int]:
    """When periods came late by so much that a player would notice."""
    return [t for (_, before), (_, t) in pairwise(cycles) if t - before > period_ns + _LATE_NS]


def _jack_frame(frame: int, rolled: Sequence[tuple[int, int]]) -> int:
    """JACK's frame at a frame of the transport."""
    at = max(bisect_right(rolled, (frame, sys.maxsize)) - 1, 0)
    return rolled[at][1] + frame - rolled[at][0]


def _main(steps: Sequence[Step]) -> None:
    client = jack.Client(_TAP, no_start_server=True)
    port = client.midi_inports.register("in")
    heard: list[tuple[int, int]] = []
    cycles: list[Cycle] = []
    rolled: list[tuple[int, int]] = []  # frames of the transport, and JACK's at the same moment

    @client.set_process_callback
    def process(frames: int) -> None:
        first = client.last_frame_time
        cycles.append((first, time.monotonic_ns()))
        if steps:
            state, position = client.transport_query_struct()
            if state == jack.ROLLING:
                rolled.append((position.frame, first))
        heard.extend((first + offset, data[0][0]) for offset, data in port.incoming_midi_events())

    timebase = _Timebase(steps or [(0.0, 120.0)], client.samplerate)
    if steps:
        client.set_timebase_callback(lambda state, frames, position, new: timebase.fill(position))
    gc.freeze()
    gc.disable()
    client.activate()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        if line.strip() == "roll":
            client.transport_locate(0)
            client.transport_start()
            print(json.dumps("rolls"), flush=True)
            continue
        client.transport_stop()
        client.deactivate()
        times = in_ns([frame for frame, _ in heard], cycles, client.samplerate)
        beats = (
            [_jack_frame(frame, rolled) for frame in timebase.beats(rolled[-1][0])]
            if rolled
            else []
        )
        answer = {
            "beats": in_ns(beats, cycles, client.samplerate),
            "messages": list(zip(times, (status for _, status in heard), strict=True)),
            "stalls": stalls(cycles, 1e9 * client.blocksize / client.samplerate),
        }
        print(json.dumps(answer), flush=True)
        client.close()
        return


if __name__ == "__main__":
    jack.set_error_function(lambda text: None)
    _main(json.loads(sys.argv[1]))
