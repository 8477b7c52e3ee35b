"""What the performance is doing, in one word, as subscribers see it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from .performer import Performer
from .transport import Transport


class ShownState:
    """`tell` is called wherever it may have changed, so that no change goes unseen."""

    def __init__(
        self, transport: Transport, performer: Performer, publish: Callable[..., None]
    ) -> None:
        self._transport = transport
        self._performer = performer
        self._publish = publish
        self._told = ""

    @property
    def now(self) -> str:
        """idle, listening, armed or playing."""
        if self._performer.playing is not None:
            return "playing"
        if self._performer.armed is not None:
            return "armed"
        return "listening" if self._transport.playing else "idle"

    def tell(self) -> None:
        """Publish it, if it is another one than was told last."""
        if self.now != self._told:
            self._told = self.now
            self._publish("/rwkv/state", self._told)
