"""The links to the model's processes: one that plays, and one that waits to take its place."""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable

from rwkv_music.errors import WorkerError

from .links import Hub, Link
from .messages import Message

log = logging.getLogger(__name__)


class Workers:
    """Whoever calls first plays; whoever calls then waits until `change` is called.

    take gets each answer of the one that plays; lost is called when that is gone, but not when it
    makes room for the one that waits.
    """

    def __init__(
        self,
        hub: Hub,
        selector: selectors.BaseSelector,
        take: Callable[[Message], None],
        lost: Callable[[], None],
    ) -> None:
        self.name = ""  # of the last that came to play
        self._hub = hub
        self._selector = selector
        self._take = take
        self._lost = lost
        self._playing: Link | None = None
        self._next: tuple[str, Link] | None = None
        self._said: list[Message] = []  # by the one that waits
        selector.register(hub, selectors.EVENT_READ, self._take_callers)

    @property
    def one_is_ready(self) -> bool:
        """Whether one waits that could play at once."""
        return bool(self._said)

    def look(self) -> None:
        """What no event of the selector tells: callers that have not said who they are, and what
        the one that plays has not read yet."""
        if self._hub.has_strangers:
            self._take_callers()
        if self._playing is not None and self._playing.is_behind:
            self.send()

    def send(self, *messages: Message) -> None:
        """Tell the one that plays; nobody, if there is none."""
        if self._playing is None:
            return
        try:
            self._playing.send(*messages)
        except WorkerError as error:
            self._lose(str(error))

    def change(self) -> None:
        """The one that waits takes over: what the other was told, it will be told."""
        if self._next is None:
            return
        (name, link), said = self._next, self._said
        self._next, self._said = None, []
        self._selector.unregister(link)
        self._release()
        self._employ(name, link, said)

    def close(self) -> None:
        self._hub.close()
        if self._playing is not None:
            self._playing.close()
        if self._next is not None:
            self._next[1].close()

    def _take_callers(self) -> None:
        for name, link in self._hub.accept():
            if self._playing is None:
                self._employ(name, link, [])
            else:
                self._dismiss_next()
                self._next = name, link
                self._selector.register(link, selectors.EVENT_READ, self._hear_next)
                self._hear_next()

    def _employ(self, name: str, link: Link, said: list[Message]) -> None:
        self._playing, self.name = link, name
        self._selector.register(link, selectors.EVENT_READ, self._hear)
        for message in said:
            self._take(message)
        self._hear()

    def _hear(self) -> None:
        if self._playing is None:
            return
        try:
            messages = self._playing.receive()
        except WorkerError as error:
            self._lose(str(error))
            return
        for message in messages:
            self._take(message)

    def _lose(self, reason: str) -> None:
        if self._playing is None:
            return
        log.warning("the worker is gone: %s", reason)
        self._release()
        self._lost()

    def _release(self) -> None:
        if self._playing is not None:
            self._selector.unregister(self._playing)
            self._playing.close()
        self._playing = None

    def _hear_next(self) -> None:
        if self._next is None:
            return
        try:
            self._said += self._next[1].receive()
        except WorkerError:
            self._dismiss_next()

    def _dismiss_next(self) -> None:
        if self._next is not None:
            self._selector.unregister(self._next[1])
            self._next[1].close()
        self._next, self._said = None, []
