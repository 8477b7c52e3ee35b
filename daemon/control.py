"""What each OSC request does. One method a request; the table has checked the arguments before.

Pure like the conductor: told the time, replies through a callable. Answers can be long (the
history), so they are queued and go out a few at a time.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from rwkv_music import __version__
from rwkv_music.errors import ConfigError
from rwkv_music.music import Meter
from rwkv_music.timebase import beats_to_steps, steps_to_beats

from .aside import Aside, Reply
from .assembler import HISTORY_BARS
from .conductor import Conductor
from .learning import Learning
from .midi_map import COMMANDS
from .osc.arguments import OscError
from .osc.encoding import Value
from .osc.framing import Message
from .osc.positions import parse_bbt
from .osc.subscribers import Address
from .osc.table import PROTOCOL, Request, describe, match
from .parameters import PARAMETERS, ParameterError
from .transport import BarSpan

log = logging.getLogger(__name__)

_MOST_QUEUED = 200_000


class Control:
    """Carries out requests. `replies` is the queue of what is to be sent, also for `aside`.

    silence_all sends the panic sequence on all channels; link_absence says why there can be no
    Link session, or nothing.
    """

    def __init__(
        self,
        conductor: Conductor,
        learning: Learning,
        silence_all: Callable[[], None],
        aside: Aside,
        link_absence: Callable[[], str] = lambda: "",
    ) -> None:
        self.replies: deque[Reply] = aside.replies
        self._aside = aside
        self._conductor = conductor
        self._transport = conductor.transport
        self._learning = learning
        self._silence_all = silence_all
        self._link_absence = link_absence
        self._methods: dict[str, Callable[..., Iterator[tuple[Any, ...]] | None]] = {
            "ping": self._ping,
            "subscribe": self._subscribe,
            "unsubscribe": self._nothing,
            "status": self._status,
            "history": self._history,
            "trigger": self._trigger,
            "toggle": self._toggle,
            "stop": self._stop,
            "panic": self._panic,
            "regenerate": self._regenerate,
            "take/select": self._select,
            "take/next": self._select,
            "undo": self._undo,
            "reset": self._reset,
            "mode": self._mode,
            "set": self._set,
            "once": self._once,
            "get": self._get,
            "params": self._params,
            "learn": learning.begin,
            "learn/list": learning.entries,
            "unlearn": learning.unlearn,
            "transport/play": self._play,
            "transport/stop": lambda now_ns: self._led(self._transport.stop(now_ns)),
            "transport/continue": lambda now_ns: self._led(self._transport.continue_(now_ns)),
            "transport/tempo": self._tempo,
            "transport/meter": self._meter,
            "transport/bar": self._bar,
            "transport/position": self._position,
            "transport/bbt": self._bbt,
            "transport/seconds": self._seconds,
            "transport/source": self._source,
            **aside.methods,
        }

    @property
    def served(self) -> frozenset[str]:
        """The names of the requests that are carried out."""
        return frozenset(self._methods)

    def carry_out(self, request: Request, sender: Address, now_ns: int) -> None:
        """Do what is asked and queue the answer; an error changes nothing and is the answer."""
        try:
            self._aside.sender = sender
            answers = self._methods[request.name](now_ns, *request.args)
            for address, *args in answers or ():
                self._queue(sender, address, *args)
        except (ParameterError, OscError) as error:
            self._queue(sender, "/rwkv/error", error.code, str(error), request.address)
        except OSError as error:  # of the folders that some look into: no reason to end the music
            self._queue(sender, "/rwkv/error", 500, str(error), request.address)
        self._conductor.follow_transport(now_ns)

    def tick(self, now_ns: int) -> None:
        """What is due without anybody asking for it."""
        self._learning.tick(now_ns)
        self._aside.tick()

    def midi(self, t_ns: int, message: bytes) -> None:
        """A channel message that came in: a trigger is carried out, the rest is music."""
        if self._learning.take(message, t_ns):
            return
        consumed, command = self._learning.map.feed(message)
        if command is not None:
            self.command(command, t_ns)
        if not consumed:
            self._conductor.midi(t_ns, message)

    def command(self, command: str, now_ns: int) -> None:
        """Carry out a mapped command; nobody is there to hear of errors but the log."""
        address, args = COMMANDS[command]
        request = match(Message(address, args))
        if request is not None:
            try:
                for _ in self._methods[request.name](now_ns, *request.args) or ():
                    pass  # a method that answers does its work while it is asked for the answer
            except OscError as error:
                self._conductor.report(error.code, str(error), address)

    def _queue(self, receiver: Address, address: str, *args: Value) -> None:
        if len(self.replies) < _MOST_QUEUED:
            self.replies.append((receiver, address, args))

    # --- asked ---------------------------------------------------------------------------------

    def _nothing(self, now_ns: int, *args: Any) -> None:
        """The server has done it, or it is so already."""

    def _ping(self, now_ns: int, token: str | None) -> Iterator[tuple[Any, ...]]:
        yield "/rwkv/pong", token or "", __version__, PROTOCOL

    def _subscribe(self, now_ns: int, port: int) -> None:
        """The current values go to the new subscriber's port: see `welcome`."""

    def welcome(self, subscriber: Address) -> None:
        """Send a new subscriber the current values."""
        self._queue(subscriber, "/rwkv/state", self._conductor.state)
        self._queue(subscriber, "/rwkv/worker", "up" if self._conductor.model else "down")
        self._queue(subscriber, *self._learning.state())
        for name in PARAMETERS:
            value = self._conductor.generation.value(name)
            self._queue(subscriber, f"/rwkv/param/{name}", value)

    def _status(self, now_ns: int) -> Iterator[tuple[Any, ...]]:
        beat = self._conductor.listener.beat_at(now_ns)
        bar = self._transport.bar_at(beat)
        yield (
            "/rwkv/status",
            self._conductor.state,
            bar.number,
            beat,
            self._transport.tempo_bpm,
            bar.meter.numerator,
            bar.meter.denominator,
            self._transport.source,
            self._conductor.model,
        )

    def _history(self, now_ns: int, bars: int | None) -> Iterator[tuple[Any, ...]]:
        self._conductor.tick(now_ns)
        recent = list(self._conductor.assembler.bars)[-(bars or HISTORY_BARS) :]
        notes = 0
        for bar in recent:
            for note in sorted(bar.notes, key=lambda n: (n.onset, n.pitch)):
                notes += 1
                beat = steps_to_beats(bar.start_step + note.onset)
                yield (
                    "/rwkv/history/note",
                    beat,
                    note.pitch,
                    note.velocity,
                    steps_to_beats(note.duration),
                    str(note.voice),
                )
        yield "/rwkv/history/done", notes

    def _get(self, now_ns: int, name: str) -> Iterator[tuple[Any, ...]]:
        yield f"/rwkv/param/{name}", self._conductor.generation.value(name)

    def _params(self, now_ns: int) -> Iterator[tuple[Any, ...]]:
        for name, parameter in PARAMETERS.items():
            value = self._conductor.generation.value(name)
            yield "/rwkv/param/describe", *describe(parameter, value)

    # --- playing -------------------------------------------------------------------------------

    def _trigger(
        self, now_ns: int, bars: int | None = None, takes: int | None = None
    ) -> Iterator[tuple[Any, ...]]:
        request, start_bar = self._conductor.trigger(now_ns, bars, takes)
        yield "/rwkv/accepted", request, start_bar

    def _toggle(self, now_ns: int) -> Iterator[tuple[Any, ...]]:
        if self._conductor.state in ("armed", "playing"):
            self._conductor.stop(now_ns)
            return iter(())
        return self._trigger(now_ns)

    def _stop(self, now_ns: int) -> None:
        self._conductor.stop(now_ns)

    def _panic(self, now_ns: int) -> None:
        self._conductor.silence(now_ns)
        self._silence_all()

    def _regenerate(self, now_ns: int) -> Iterator[tuple[Any, ...]]:
        request, start_bar = self._conductor.regenerate(now_ns)
        yield "/rwkv/accepted", request, start_bar

    def _select(self, now_ns: int, take: int | None = None) -> Iterator[tuple[Any, ...]]:
        request, start_bar = self._conductor.select(now_ns, take)
        yield "/rwkv/accepted", request, start_bar

    def _mode(
        self, now_ns: int, mode: str, listen_bars: int | None = None, play_bars: int | None = None
    ) -> None:
        """A number of bars that is not given is the parameter `bars`."""
        bars = self._conductor.generation.bars
        self._conductor.set_mode(mode, listen_bars or bars, play_bars or listen_bars or bars)

    def _undo(self, now_ns: int) -> None:
        self._conductor.undo(now_ns)

    def _reset(self, now_ns: int) -> None:
        self._conductor.reset(now_ns)

    def _set(self, now_ns: int, name: str, value: Value) -> Iterator[tuple[Any, ...]]:
        yield f"/rwkv/param/{name}", self._conductor.set_parameter(name, value, now_ns)

    def _once(self, now_ns: int, name: str, value: Value) -> Iterator[tuple[Any, ...]]:
        yield f"/rwkv/param/{name}", self._conductor.wishes.set_once(name, value)

    # --- the transport -------------------------------------------------------------------------

    def _play(self, now_ns: int) -> None:
        count_in = self._conductor.generation.count_in
        self._led(self._conductor.following.play(now_ns, count_in))

    def _led(self, obeyed: bool) -> None:
        if not obeyed:
            chosen = self._transport.selected
            leader = (self._transport.source if chosen == "auto" else chosen).replace("_", " ")
            raise OscError(406, f"the transport follows {leader}; choose another source first")
        self._conductor.following.own_clock.led()  # also where it ran already

    def _tempo(self, now_ns: int, tempo_bpm: float) -> None:
        self._transport.osc_tempo(tempo_bpm, now_ns)

    def _meter(self, now_ns: int, numerator: int, denominator: int) -> None:
        self._transport.set_meter(Meter(numerator, denominator), now_ns)

    def _bar(self, now_ns: int, bar: int, beat: float, numerator: int, denominator: int) -> None:
        line = steps_to_beats(beats_to_steps(beat))  # a float32 of the host's
        meter = Meter(numerator, denominator)
        self._transport.osc_bar(BarSpan(bar, line, meter), now_ns)

    def _position(self, now_ns: int, beats: float) -> None:
        self._transport.osc_position(beats, now_ns)

    def _bbt(self, now_ns: int, text: str) -> None:
        bar, beats = parse_bbt(text)
        self._transport.osc_bbt(bar + 1, beats + 1, now_ns)

    def _seconds(self, now_ns: int, seconds: float) -> None:
        self._transport.osc_seconds(seconds, now_ns)

    def _source(self, now_ns: int, source: str) -> None:
        absence = self._link_absence() if source == "link" else ""
        if absence:
            raise OscError(406, absence)
        try:
            self._transport.select(source, now_ns)
        except ConfigError as error:
            raise OscError(422, str(error)) from error
