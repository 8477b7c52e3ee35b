"""Requests whose answer takes a while, given when a process has done its work beside the music:
named memories, other models, composing offline. Pure like the conductor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .compositions import Compositions
from .conductor import Conductor
from .memories import Memories
from .messages import Composed, Memory
from .models import Models
from .osc.encoding import Value
from .osc.subscribers import Address

Reply = tuple[Address, str, tuple[Value, ...]]


class Aside:
    """`methods` carry out the requests for `sender`; `replies` collects the answers.

    load_model has the checkpoint at a path loaded; `model_loaded` or `model_not_loaded` answers.
    """

    def __init__(
        self,
        conductor: Conductor,
        memories: Memories,
        models: Models,
        load_model: Callable[[str], None],
    ) -> None:
        self.replies: deque[Reply] = deque()
        self.sender: Address = ("", 0)
        self._conductor = conductor
        self._memories = memories
        self._models = models
        self._tell_load = load_model
        self._compositions = Compositions()
        self.methods: dict[str, Callable[..., Iterator[tuple[Any, ...]] | None]] = {
            "memory/save": self._memory_save,
            "memory/load": self._memory_load,
            "memory/list": self._memory_list,
            "model/load": self._model_load,
            "model/list": self._model_list,
            "compose/begin": self._compose_begin,
            "compose/notes": self._compose_notes,
            "compose/run": self._compose_run,
        }

    @property
    def busy(self) -> bool:
        """Whether the worker has something to finish for somebody."""
        return self._memories.waiting or self._compositions.running

    def tick(self) -> None:
        """Send the worker a little of what it is to compose: all at once would keep notes that play
        from going out."""
        if self._compositions.pieces:
            self._conductor.to_worker(self._compositions.pieces.popleft())

    # --- memories ------------------------------------------------------------------------------

    def _memory_save(self, now_ns: int, name: str) -> None:
        self._conductor.need_model()
        self._conductor.tick(now_ns)
        self._conductor.ask_memory(self._memories.save(self.sender, name))

    def _memory_load(self, now_ns: int, name: str) -> None:
        self._conductor.need_model()
        self._conductor.ask_memory(self._memories.load(self.sender, name))

    def _memory_list(self, now_ns: int) -> Iterator[tuple[Any, ...]]:
        yield "/rwkv/memory", *self._memories.names()

    def remembered(self, answer: Memory, now_ns: int) -> None:
        """The worker has saved or loaded a memory, or could not, and then nothing has changed. What
        it has heard since it was asked belongs to what is forgotten."""
        if answer.again:
            self._remembered_again(answer)
            return
        if answer.save and not answer.error:
            self._conductor.saved(answer)
        elif not answer.error:
            self._conductor.begin_in(replace(answer, again=True), now_ns)
        self.replies.extend(self._memories.finish(answer))

    def _remembered_again(self, answer: Memory) -> None:
        """A new worker stands where the last one began; or cannot, as its model is another one."""
        if answer.error:
            self._conductor.lose_memory()
            text = f"the memory {answer.name!r}, which was loaded, is lost: {answer.error}"
            self._conductor.report(406, text, "/rwkv/memory/load")

    # --- models --------------------------------------------------------------------------------

    def _model_load(self, now_ns: int, name: str) -> None:
        self._tell_load(self._models.load(self.sender, name))

    def _model_list(self, now_ns: int) -> Iterator[tuple[Any, ...]]:
        yield "/rwkv/model", *self._models.names()

    def model_not_loaded(self, reason: str) -> None:
        """The model that was asked for cannot be had; nothing has changed."""
        self.replies.extend(self._models.finish("", reason))

    def model_loaded(self) -> None:
        """The model that was asked for plays."""
        self.replies.extend(self._models.finish(self._conductor.model))

    # --- composing -----------------------------------------------------------------------------

    def _compose_begin(
        self, now_ns: int, ident: str, tempo_bpm: float, numerator: int, denominator: int
    ) -> None:
        self._compositions.begin(ident, tempo_bpm, numerator, denominator)

    def _compose_notes(self, now_ns: int, ident: str, first: int, *values: Any) -> None:
        self._compositions.add(ident, first, values)

    def _compose_run(
        self, now_ns: int, ident: str, notes: int, bars: int, seed: int | None = None
    ) -> None:
        self._conductor.need_model()
        seed = self._conductor.arming.seed(-1 if seed is None else seed)
        wishes = self._conductor.generation
        self._compositions.run(self.sender, ident, notes, bars, seed, wishes)

    def composed(self, answer: Composed) -> None:
        """The worker has finished a composition."""
        self.replies.extend(self._compositions.finish(answer))

    def worker_lost(self) -> None:
        """What the worker was composing is lost."""
        reason = "the model's process ended; send /rwkv/compose/begin again"
        self.replies.extend(self._compositions.fail_running(reason))
        self.replies.extend(self._memories.worker_lost())
