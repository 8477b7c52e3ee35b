"""The service for the tests of bridges: real socket, table, control, transport and pipeline, with
the scripted model, on a clock that is moved by hand; and a composer that can be made to lose
datagrams on the way."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from select import select
from typing import Any

from rwkv_music_daemon.osc.server import OscServer
from rwkv_music_daemon.osc.table import Request
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Change, Transport

from rwkv_music.model.scripted import ScriptedModel

HEARTBEAT_NS = 2_000_000_000
Answer = tuple[Any, ...]
Note = tuple[float, int, int, float]


class NotedTransport(Transport):
    """Keeps what has happened to it, by name."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        super().__init__()

    def take_changes(self) -> list[Change]:
        changes = super().take_changes()
        self.happened += [type(change).__name__ for change in changes]
        return changes

    def take_happened(self) -> list[str]:
        """What has happened since it was last asked."""
        happened, self.happened = self.happened, []
        return happened


class BridgeService:
    """`pump` does what is due now; `serve` does so in a thread, for bridges in other processes.

    composer answers `compose` in the place of the service's own code."""

    def __init__(self, composer: Callable[[Request], Iterable[Answer]] | None = None) -> None:
        self.server = OscServer("127.0.0.1", 0)
        self.transport = NotedTransport()
        self._folder = tempfile.TemporaryDirectory()
        self.rehearsal = Rehearsal(
            ScriptedModel(), transport=self.transport, memory_folder=Path(self._folder.name)
        )
        self.requests: list[Request] = []
        self.midi_from = Path(self._folder.name) / "midi"  # a line for each message that comes in
        self._midi_taken = 0
        self._composer = composer
        self._control = self.rehearsal.control
        self._published = 0
        self._heartbeat_ns = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> str:
        return self.rehearsal.conductor.state

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of every such request, optional ones that were left out included."""
        return [request.args for request in self.requests if request.name == name]

    def pump(self, now_ns: int | None = None) -> None:
        """Move on to that time and carry out what has come."""
        if now_ns is not None:
            self.rehearsal.run_until_ns(now_ns)
        now_ns = self.rehearsal.clock.now_ns()
        self._take_midi(now_ns)
        for request, sender in self.server.receive():
            self.requests.append(request)
            if self._composer is not None and request.name.startswith("compose/"):
                for answer in self._composer(request):
                    self._answer(sender, answer)
                continue
            self._control.carry_out(request, sender, now_ns)
            if request.name == "subscribe":
                self._control.welcome((sender[0], request.args[0]))
        self.rehearsal.step()
        while self._control.replies:
            receiver, address, args = self._control.replies.popleft()
            self._answer(receiver, (address, *args))
        for _, address, args in self.rehearsal.events[self._published :]:
            self.server.publish(address, *args)
        self._published = len(self.rehearsal.events)
        if now_ns >= self._heartbeat_ns:
            self._heartbeat_ns = now_ns + HEARTBEAT_NS
            self.server.publish("/rwkv/heartbeat", now_ns // 1_000_000_000)

    def serve(self) -> BridgeService:
        """Pump whenever something comes, until closed; the clock stands still."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.server.close()
        self._folder.cleanup()

    def _take_midi(self, now_ns: int) -> None:
        if not self.midi_from.exists():
            return
        lines = self.midi_from.read_text(encoding="utf-8").splitlines()
        for line in lines[self._midi_taken :]:
            self._control.midi(now_ns, bytes(map(int, line.split())))
        self._midi_taken = len(lines)

    def _serve(self) -> None:
        while not self._over.is_set():
            select([self.server], [], [], 0.05)
            self.pump()

    def _answer(self, receiver: tuple[str, int], answer: Answer) -> None:
        address, *args = answer
        if address == "/rwkv/error":
            self.server.reply_error(receiver, *args)
        else:
            self.server.reply(receiver, address, *args)


def refusing(request: Request) -> Iterable[Answer]:
    """A service that does not compose yet."""
    yield "/rwkv/error", 406, "not yet: a later version does this", request.address


class Composer:
    """Answers `compose` as docs/osc.md says: each context note an octave higher, from the bar line
    after the last one on. `lose` names datagrams that get lost: ("notes", n) or ("result", n) is
    the n-th of its kind, counted from 0 over all tries. `from_zero` counts the beats of the
    result from its own beginning."""

    def __init__(self, lose: Iterable[tuple[str, int]] = (), from_zero: bool = False) -> None:
        self.begun: list[tuple[Any, ...]] = []
        self.ran: list[tuple[Any, ...]] = []
        self.notes: dict[int, Note] = {}
        self._lose = set(lose)
        self._from_zero = from_zero
        self._seen = {"notes": 0, "result": 0}

    def __call__(self, request: Request) -> Iterable[Answer]:
        answers: dict[str, Callable[..., Iterable[Answer]]] = {
            "compose/begin": self._begin,
            "compose/notes": self._take,
            "compose/run": self._run,
        }
        return answers[request.name](*request.args)

    @property
    def context(self) -> list[Note]:
        """The notes that came, in the order of their numbers."""
        return [self.notes[number] for number in sorted(self.notes)]

    def _begin(self, *args: Any) -> Iterable[Answer]:
        self.begun.append(args)
        self.notes = {}
        return ()

    def _take(self, _id: str, first: int, *values: Any) -> Iterable[Answer]:
        if not self._is_lost("notes"):
            for number, note in enumerate(groups_of_four(values), first):
                self.notes[number] = note
        return ()

    def _run(self, name: str, count: int, bars: int, seed: int | None = None) -> Iterable[Answer]:
        self.ran.append((name, count, bars, seed))
        if sorted(self.notes) != list(range(count)):
            address = "/rwkv/compose/run"
            yield "/rwkv/error", 412, f"{len(self.notes)} of {count} notes are here", address
            return
        made = self.completion(bars)
        for first in range(0, len(made), 2):
            if not self._is_lost("result"):
                values = [value for note in made[first : first + 2] for value in note]
                yield "/rwkv/compose/result", name, first, *values
        yield "/rwkv/compose/done", name, len(made), 7 if seed is None else seed

    def completion(self, bars: int) -> list[Note]:
        """What comes back."""
        _, _, numerator, denominator = self.begun[-1]
        bar_beats = numerator * 4 / denominator
        last = max(note[0] for note in self.context)
        start = (last // bar_beats + 1) * bar_beats
        offset = 0.0 if self._from_zero else start
        first = min(note[0] for note in self.context) // bar_beats * bar_beats
        return [
            (beat - first + offset, pitch + 12, velocity, beats)
            for beat, pitch, velocity, beats in self.context
            if beat - first < bars * bar_beats
        ]

    def _is_lost(self, kind: str) -> bool:
        number = self._seen[kind]
        self._seen[kind] += 1
        return (kind, number) in self._lose


def groups_of_four(values: Iterable[Any]) -> list[Note]:
    flat = list(values)
    return [(flat[at], flat[at + 1], flat[at + 2], flat[at + 3]) for at in range(0, len(flat), 4)]
