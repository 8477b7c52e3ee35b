"""The whole pipeline in one thread on a clock that is moved by hand: the same conductor, output
and worker as in the service, without processes, ports and waiting. For tests and `demo --fast`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rwkv_music.model.protocol import MusicModel
from rwkv_music.timebase import NS_PER_MS

from .aside import Aside
from .clock import ManualClock
from .conductor import Conductor
from .control import Control
from .learning import Learning
from .memories import Memories
from .messages import Composed, Memory, Message
from .models import Models
from .osc.encoding import Value
from .osc.framing import Message as OscMessage
from .osc.table import match
from .output_thread import Output
from .parameters import Generation
from .ports.base import Arrival
from .ports.memory import MemoryOutput
from .transport import Transport
from .worker import Worker

_STEP_NS = 2 * NS_PER_MS  # as often as the io loop looks


class Rehearsal:
    """Play messages in with their times, `run_until_ns`, and read what went out.

    worker_ns is how long the worker takes for each note it makes; events are what OSC
    subscribers would see, with their times.
    """

    def __init__(
        self,
        model: MusicModel[Any],
        generation: Generation | None = None,
        transport: Transport | None = None,
        *,
        worker_ns: int = 0,
        new_seed: Callable[[], int] = lambda: 1,
        memory_folder: Path | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.port = MemoryOutput("RWKV Music Out", self.clock)
        self.output = Output(self.port, self.clock)
        self.transport = transport or Transport(source="internal")
        self.events: list[tuple[int, str, tuple[Any, ...]]] = []
        self.asked_models: list[str] = []  # the checkpoints that were to be loaded
        self._worker_ns = worker_ns
        self._to_worker: deque[Message] = deque()
        self._answers: deque[tuple[int, Message]] = deque()
        self._free_ns = 0
        self.worker = Worker(model, self._answer)

        def publish(address: str, *args: Value) -> None:
            self.events.append((self.clock.now_ns(), address, args))

        self.conductor = Conductor(
            self.transport,
            generation or Generation(),
            self.output,
            self._to_worker.append,
            publish,
            new_seed,
        )
        memories = Memories(memory_folder or Path("memories"))
        self.aside = Aside(
            self.conductor, memories, Models(Path("models")), self.asked_models.append
        )
        self.control = Control(
            self.conductor,
            Learning({}, publish),
            silence_all=self.output.stop,
            aside=self.aside,
        )
        self.conductor.worker_up(model.name)

    @property
    def sent(self) -> list[Arrival]:
        """What went out, with its times."""
        return self.port.sent

    def play(self, message: bytes, t_ns: int | None = None) -> None:
        """Let a message of the player's come in, after running until its time."""
        if t_ns is not None:
            self.run_until_ns(t_ns)
        self.conductor.midi(self.clock.now_ns(), message)

    def ask(self, address: str, *args: Value) -> None:
        """Let a request come in; `replies` has the answers."""
        request = match(OscMessage(address, args))
        if request is not None:
            self.control.carry_out(request, ("rehearsal", 0), self.clock.now_ns())

    def replies(self) -> list[tuple[str, tuple[Any, ...]]]:
        """The answers to requests since the last call."""
        answers = [(address, args) for _, address, args in self.control.replies]
        self.control.replies.clear()
        return answers

    def run_until_ns(self, end_ns: int) -> None:
        """Move on, in steps as small as the io loop's, or smaller where something is due."""
        due_ns = self.output.pump()
        while self.clock.now_ns() < end_ns:
            next_ns = min(self.clock.now_ns() + _STEP_NS, end_ns)
            if due_ns is not None and self.clock.now_ns() < due_ns < next_ns:
                next_ns = due_ns
            self.clock.advance_to_ns(next_ns)
            due_ns = self.step()

    def step(self) -> int | None:
        """Everything that is due now, once; when the next message is to be sent."""
        now_ns = self.clock.now_ns()
        while self._answers and self._answers[0][0] <= now_ns:
            answer = self._answers.popleft()[1]
            if isinstance(answer, Composed):
                self.aside.composed(answer)
            elif isinstance(answer, Memory):
                self.aside.remembered(answer, now_ns)
            else:
                self.conductor.worker(answer, now_ns)
        self.output.pump()
        self.conductor.tick(now_ns)
        self.control.tick(now_ns)
        while self._to_worker:
            messages = list(self._to_worker)
            self._to_worker.clear()
            self.worker.handle(messages)
        while self._free_ns <= now_ns and self.worker.work():
            self._free_ns = max(self._free_ns, now_ns) + self._worker_ns
        return self.output.pump()

    def _answer(self, message: Message) -> None:
        self._answers.append((max(self._free_ns, self.clock.now_ns()) + self._worker_ns, message))
