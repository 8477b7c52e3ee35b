"""Hears a MIDI clock to the frame, in a process of its own, and may lead JACK's transport.

What a driver that is polled learns of an event is the period that it came in; JACK itself knows the
frame. That is the truth that a filter is measured against.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jack

Step = tuple[float, float]  # from that beat on, that many quarters a minute

_PAIR_S = 0.01
_TAP = "Clock Tap"
PORT = f"{_TAP}:in"


@dataclass(frozen=True, slots=True)
class Heard:
    """System messages with the nanosecond (monotonic) of the frame that they were sent for."""

    messages: list[tuple[float, int]]

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
        return Heard([(t_ns, status) for t_ns, status in answer])

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


def _pair_clocks(client: jack.Client, pairs: list[tuple[int, int]], ended: threading.Event) -> None:
    while not ended.wait(_PAIR_S):
        before_ns = time.monotonic_ns()
        frame = client.frame_time
        pairs.append((frame, (before_ns + time.monotonic_ns()) // 2))


def _in_ns(frame: int, pairs: Sequence[tuple[int, int]], rate: int) -> float:
    """By the readings of both clocks nearest to it, of which some were held up."""
    near = sorted(pairs, key=lambda pair: abs(pair[0] - frame))[:9]
    zeros = sorted(t_ns - 1e9 * at / rate for at, t_ns in near)
    return zeros[len(zeros) // 2] + 1e9 * frame / rate


def _main(steps: Sequence[Step]) -> None:
    client = jack.Client(_TAP, no_start_server=True)
    port = client.midi_inports.register("in")
    heard: list[tuple[int, int]] = []
    pairs: list[tuple[int, int]] = []

    @client.set_process_callback
    def process(frames: int) -> None:
        first = client.last_frame_time
        heard.extend((first + offset, data[0][0]) for offset, data in port.incoming_midi_events())

    if steps:
        timebase = _Timebase(steps, client.samplerate)
        client.set_timebase_callback(lambda state, frames, position, new: timebase.fill(position))
    client.activate()
    ended = threading.Event()
    pairing = threading.Thread(target=_pair_clocks, args=(client, pairs, ended), daemon=True)
    pairing.start()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        if line.strip() == "roll":
            client.transport_locate(0)
            client.transport_start()
            print(json.dumps("rolls"), flush=True)
            continue
        client.transport_stop()
        times = [(_in_ns(frame, pairs, client.samplerate), status) for frame, status in heard]
        print(json.dumps(times), flush=True)
        ended.set()
        pairing.join()  # it asks the client for the time
        client.deactivate()
        client.close()
        return


if __name__ == "__main__":
    jack.set_error_function(lambda text: None)
    _main(json.loads(sys.argv[1]))
