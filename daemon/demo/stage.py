"""Where the demo is played: the service's own parts, without a DAW.

`LiveStage` runs in real time: io loop, output thread and OSC in this process, the model in one of
its own. `RehearsalStage` runs on a clock that is moved by hand.
"""

from __future__ import annotations

import gc
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from rwkv_music.errors import CheckpointError, ConfigError, RwkvMusicError, WorkerError
from rwkv_music.model import load_model
from rwkv_music.timebase import NS_PER_S, beats_to_ns

from ..assembled_bar import AssembledBar
from ..boot import Boot
from ..child import Child
from ..clock import SystemClock
from ..config import Config
from ..io_loop import IoLoop
from ..links import Hub
from ..messages import Failed, Stop
from ..osc.client import OscClient
from ..osc.server import OscServer
from ..output_thread import Output, OutputThread
from ..ports.base import INPUT_NAME, OUTPUT_NAME, Arrival
from ..ports.memory import MemoryInput, MemoryOutput
from ..rehearsal import Rehearsal
from ..transport import Transport
from .performance import Performance

Tell = Callable[[str, tuple[Any, ...]], None]
Event = tuple[str, tuple[Any, ...]]  # OSC address and arguments
_TRIGGER_BEATS = 1.0  # so long before the last bar line the completion is asked for
_START_S = 60.0  # a model is loaded by then
_STOP_S = 2.0
_GRACE_BARS = 2
_SWITCH_INTERVAL_S = 0.0005  # as in the io process
_ERRORS: dict[int, type[RwkvMusicError]] = {2: ConfigError, 4: CheckpointError}


@dataclass(slots=True)
class Outcome:
    """What happened: the bars that were heard, the port's messages with their times, the events.

    `place_ns` says of a beat when it was due.
    """

    model: str
    bars: tuple[AssembledBar, ...]
    sent: list[Arrival]
    events: list[Event]
    place_ns: Callable[[float], int]
    first_note_ns: int | None = None  # from asking the model to its first note
    hanging: int = field(init=False)

    def __post_init__(self) -> None:
        self.hanging = hanging_notes(self.sent)


def hanging_notes(sent: list[Arrival]) -> int:
    """How many notes sound after all these messages."""
    sounding: set[tuple[int, int]] = set()
    for _, message in sent:
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        if kind == 0x90 and message[2]:
            sounding.add(key)
        elif kind in (0x80, 0x90):
            sounding.discard(key)
    return len(sounding)


class LiveStage:
    """Use it as a context manager; leaving it ends every sound and the model's process.

    tell is called with each OSC event. One thread.
    """

    def __init__(self, config: Config, tell: Tell) -> None:
        self._tell = tell
        self._events: list[Event] = []
        self._clock = SystemClock()
        self._input = MemoryInput(INPUT_NAME, self._clock)
        self.port = MemoryOutput(OUTPUT_NAME, self._clock)
        self._output = Output(self.port, self._clock)
        self._thread = OutputThread(self._output)
        token = secrets.token_hex(16)
        self._callers = Hub(token)  # here the worker calls its supervisor
        hub = Hub(token)
        osc = OscServer("127.0.0.1", 0)
        self._client = OscClient(port=osc.port)
        self._boot = Boot.of("demo-worker", config, token, self._callers.port, hub.port)
        self._worker = Child("demo-worker", "worker_process")
        self._loop = IoLoop(config, self._clock, self._input, self._output, osc, hub)
        self._first_note_ns: int | None = None
        self._switch_interval_s = sys.getswitchinterval()

    def __enter__(self) -> LiveStage:
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._worker.start(self._boot, time.monotonic())
        self._thread.start()
        self._client.subscribe()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.silence()
        self._end_worker()
        self._loop.close()
        self._thread.end()
        self._client.close()
        self._callers.close()
        gc.unfreeze()
        sys.setswitchinterval(self._switch_interval_s)

    def load(self) -> str:
        """Wait for the model; its name. Raises ConfigError or CheckpointError when it cannot be
        loaded."""
        self._run_until(lambda: bool(self._loop.conductor.model), _START_S)
        gc.collect()
        gc.freeze()
        return self._loop.conductor.model

    def perform(self, performance: Performance, bars: int) -> Outcome:
        """Play it in, ask for a completion of so many bars near its end, and hear it out. Raises
        WorkerError when that does not happen."""
        conductor, clock = self._loop.conductor, self._clock
        transport = conductor.transport
        self._client.send("/rwkv/transport/play")
        self._run_until(lambda: transport.playing, 5.0)
        for beat, message in performance.messages:
            self._input.push(message, transport.ns_at(beat))
        trigger_ns = transport.ns_at(performance.end_beat - _TRIGGER_BEATS)
        bar_s = beats_to_ns(performance.meter.beats, performance.tempo_bpm) / NS_PER_S
        self._run_until(lambda: clock.now_ns() >= trigger_ns, (performance.bars + 1) * bar_s)
        self._client.send("/rwkv/trigger", bars)
        self._run_until(self._is_over, (bars + _GRACE_BARS) * bar_s)
        return Outcome(
            conductor.model,
            tuple(conductor.assembler.bars),
            list(self.port.sent),
            self._events,
            transport.ns_at,
            self._first_note_ns,
        )

    def _end_worker(self) -> None:
        if self._worker.link is not None and self._worker.process is not None:
            self._worker.send(Stop())
            with suppress(subprocess.TimeoutExpired):
                self._worker.process.wait(_STOP_S)
        self._worker.bury(time.monotonic())

    def _is_over(self) -> bool:
        """A completion has ended and none of its notes rings."""
        return _has_ended(self._events) and not self._output.sounding

    def _run_until(self, reached: Callable[[], bool], at_most_s: float) -> None:
        deadline_s = time.monotonic() + at_most_s
        while not reached():
            if time.monotonic() > deadline_s:
                raise WorkerError(f"demo: nothing came of it within {at_most_s:.0f} s")
            self._loop.step()
            self._watch_first_note()
            self._watch_worker()
            while (message := self._client.receive(0)) is not None:
                self._events.append((message.address, message.args))
                self._tell(message.address, message.args)

    def _watch_first_note(self) -> None:
        performer = self._loop.conductor.performer
        for completion in (performer.armed, performer.playing):
            if completion is None or completion.first_onset is None:
                continue
            if self._first_note_ns is None:
                self._first_note_ns = self._clock.now_ns() - completion.asked_ns

    def _watch_worker(self) -> None:
        """What a supervisor does: hear why the worker ends."""
        for _, link in self._callers.accept():
            self._worker.link = link
        if self._worker.link is not None:
            try:
                messages = self._worker.link.receive()
            except WorkerError:
                raise WorkerError("demo: the model's process has ended") from None
            for message in messages:
                if isinstance(message, Failed):
                    raise _ERRORS.get(message.code, WorkerError)(message.message)
        elif self._worker.is_dead():
            raise WorkerError("demo: the model's process could not be started")


class RehearsalStage:
    """The same without waiting: no ports, no processes, and so nothing to be late for.

    Raises ConfigError or CheckpointError when the model cannot be loaded.
    """

    def __init__(self, config: Config, tell: Tell) -> None:
        self._tell = tell
        self._rehearsal = Rehearsal(
            load_model(config.model.path, config.model.engine),
            config.generation,
            Transport(config.transport.tempo_bpm, config.transport.meter, "internal"),
            new_seed=lambda: secrets.randbits(31),
        )
        self._events: list[Event] = []

    def load(self) -> str:
        """The model's name."""
        return self._rehearsal.conductor.model

    def perform(self, performance: Performance, bars: int) -> Outcome:
        """As LiveStage.perform."""
        rehearsal, transport = self._rehearsal, self._rehearsal.transport
        transport.play(0)
        rehearsal.step()
        trigger_beat = performance.end_beat - _TRIGGER_BEATS
        played = [m for m in performance.messages if m[0] < trigger_beat]
        for beat, message in played:
            self._play(message, transport.ns_at(beat))
        self._run_until_ns(transport.ns_at(trigger_beat))
        accepted = rehearsal.conductor.trigger(rehearsal.clock.now_ns(), bars)
        self._take(("/rwkv/accepted", accepted))
        for beat, message in performance.messages[len(played) :]:
            self._play(message, transport.ns_at(beat))
        for beat in count(round(performance.end_beat)):
            self._run_until_ns(transport.ns_at(beat))
            if _has_ended(self._events) and not rehearsal.output.sounding:
                break
            if beat > performance.end_beat + (bars + _GRACE_BARS) * performance.meter.beats:
                raise WorkerError("demo: the completion has not ended")
        return Outcome(
            rehearsal.conductor.model,
            tuple(rehearsal.conductor.assembler.bars),
            rehearsal.sent,
            self._events,
            transport.ns_at,
        )

    def _play(self, message: bytes, t_ns: int) -> None:
        self._run_until_ns(t_ns)
        self._rehearsal.play(message)

    def _run_until_ns(self, t_ns: int) -> None:
        self._rehearsal.run_until_ns(t_ns)
        for _, address, args in self._rehearsal.events:
            self._take((address, args))
        self._rehearsal.events.clear()

    def _take(self, event: Event) -> None:
        self._events.append(event)
        self._tell(*event)


def _has_ended(events: list[Event]) -> bool:
    return any(address == "/rwkv/done" for address, _ in events)
