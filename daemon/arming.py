"""Requests for music become armed completions: their numbers, their seeds, their takes. Pure."""

from __future__ import annotations

from collections.abc import Callable

from .completion import Again, Completion, Fresh, Source
from .osc.arguments import OscError
from .parameters import Generation
from .performer import Performer
from .shown_state import ShownState


class Arming:
    """Numbers requests from 1; remembers which take was chosen last. What is armed when it is due
    begins at once."""

    def __init__(
        self, performer: Performer, shown: ShownState, new_seed: Callable[[], int]
    ) -> None:
        self._performer = performer
        self._shown = shown
        self._new_seed = new_seed
        self._request = 0
        self._chosen = 0

    def seed(self, wish: int) -> int:
        """The seed that is wished for, or a new one for -1."""
        return wish if wish >= 0 else self._new_seed()

    def fresh(self, generation: Generation, step: int, now_ns: int) -> Completion:
        """Arm takes from what has been heard by then; seeds count up from the one that is set."""
        wish = generation.seed
        seeds = tuple(self.seed(wish + n if wish >= 0 else wish) for n in range(generation.takes))
        self._chosen = 0
        return self._arm(generation, seeds, step, Fresh(), now_ns)

    def offer(self, take: int | None = None) -> Completion:
        """The completion whose takes can be chosen. Raises OscError 406 when there is none, 422
        when it has no such take."""
        offered = self._performer.offered
        if offered is None:
            raise OscError(406, "no takes to choose from: they are offered until you play again")
        if take is not None and take >= len(offered.seeds):
            raise OscError(422, f"take: expected 0 to {len(offered.seeds) - 1}, got {take}")
        return offered

    def select(self, take: int | None, step: int, now_ns: int) -> Completion:
        """Arm a take of the last request, or the one after the last chosen. Raises OscError 406
        when there is none to choose, 422 for a number that there is not."""
        offered = self.offer(take)
        if take is None:
            take = (self._chosen + 1) % len(offered.seeds)
        self._chosen = take
        seeds = offered.seeds[take : take + 1]
        return self._arm(offered.generation, seeds, step, Again(take), now_ns)

    def regenerate(self, step: int, now_ns: int) -> Completion:
        """Arm new takes from the state before the last request. Raises OscError 406."""
        offered = self.offer()
        seeds = tuple(self._new_seed() for _ in offered.seeds)
        self._chosen = 0
        return self._arm(offered.generation, seeds, step, Again(None), now_ns)

    def _arm(
        self,
        generation: Generation,
        seeds: tuple[int, ...],
        step: int,
        source: Source,
        now_ns: int,
    ) -> Completion:
        self._request += 1
        completion = self._performer.arm(self._request, generation, seeds, step, source)
        self._shown.tell()
        self._performer.tick(now_ns)
        self._shown.tell()
        return completion
