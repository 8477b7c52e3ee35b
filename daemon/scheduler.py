"""What goes out and when, in nanoseconds, with the ledger of what sounds. Pure.

The ledger is the promise that every note-on gets its note-off. A note-off counts only while its
owner still owns the pitch; a pitch that is struck while it sounds gets its note-off first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

NOTE_OFF, NOTE_ON, CONTROL = 0x80, 0x90, 0xB0
PEDAL = 64
PLAYER = -1  # the owner of notes that only pass through
CLICK = -2  # the owner of the metronome's


@dataclass(frozen=True, slots=True)
class Strike:
    """A note-on of `owner`, a number that no other note has."""

    deadline_ns: int
    owner: int
    channel: int  # 0-15
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Release:
    """The note-off of `owner`'s note."""

    deadline_ns: int
    owner: int
    channel: int
    pitch: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Any other message."""

    deadline_ns: int
    message: bytes


Event = Strike | Release | Pass


def player_event(t_ns: int, message: bytes) -> Event:
    """A channel message of the player's, to be passed on."""
    status, channel = message[0] & 0xF0, message[0] & 0x0F
    if status == NOTE_ON and message[2]:
        return Strike(t_ns, PLAYER, channel, message[1], message[2])
    if status in (NOTE_ON, NOTE_OFF):
        return Release(t_ns, PLAYER, channel, message[1])
    return Pass(t_ns, message)


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that went out; `cut` is the owner whose note it ended before its time."""

    event: Event
    sent_ns: int
    cut: int | None = None


class Scheduler:
    """A heap of events and the ledger."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Event]] = []
        self._order = 0
        self.sounding: dict[tuple[int, int], int] = {}  # (channel, pitch) -> owner
        self._pedals: set[int] = set()  # channels on which the pedal is down

    def put(self, event: Event) -> None:
        """Note-offs of ours go before note-ons of the same time; else first come, first served: a
        key may be struck and let go at one moment."""
        rank = 0 if isinstance(event, Release) and event.owner != PLAYER else 1
        self._order += 1
        heapq.heappush(self._heap, (event.deadline_ns, rank, self._order, event))

    @property
    def next_ns(self) -> int | None:
        """When the next event is due."""
        return self._heap[0][0] if self._heap else None

    def due(self, now_ns: int) -> Iterator[tuple[list[bytes], Event, int | None]]:
        """Take the events whose time has come: the messages to send, the event, and the owner
        whose note it cuts."""
        while self._heap and self._heap[0][0] <= now_ns:
            event = heapq.heappop(self._heap)[3]
            yield self._messages(event)

    def _messages(self, event: Event) -> tuple[list[bytes], Event, int | None]:
        match event:
            case Strike(_, owner, channel, pitch, velocity):
                cut = self.sounding.get((channel, pitch))
                self.sounding[channel, pitch] = owner
                messages = [] if cut is None else [note_off(channel, pitch)]
                return [*messages, bytes((NOTE_ON | channel, pitch, velocity))], event, cut
            case Release(_, owner, channel, pitch):
                if self.sounding.get((channel, pitch)) != owner:
                    return [], event, None
                del self.sounding[channel, pitch]
                return [note_off(channel, pitch)], event, None
            case Pass(_, message):
                self._note_pedal(message)
                return [message], event, None

    def drop(self, owners: set[int] | None = None) -> None:
        """Forget strikes that have not gone out: those of these owners, or every event."""
        if owners is None:
            self._heap.clear()
            return
        kept = [
            entry
            for entry in self._heap
            if not isinstance(entry[3], Strike) or entry[3].owner not in owners
        ]
        heapq.heapify(kept)
        self._heap = kept

    def release(self, owners: set[int] | None = None) -> list[bytes]:
        """Take notes off the ledger, those of these owners or all: the note-offs to send now, and
        pedals up after them when it is all. A pedal up may have to wait for a note of its channel
        that is on its way; a note-off that came behind it could no more take that note away."""
        ended = [key for key, owner in self.sounding.items() if owners is None or owner in owners]
        messages = [note_off(channel, pitch) for channel, pitch in ended]
        for key in ended:
            del self.sounding[key]
        if owners is None:
            messages += [bytes((CONTROL | channel, PEDAL, 0)) for channel in sorted(self._pedals)]
            self._pedals.clear()
        return messages

    def _note_pedal(self, message: bytes) -> None:
        if len(message) == 3 and message[0] & 0xF0 == CONTROL and message[1] == PEDAL:
            channel = message[0] & 0x0F
            if message[2] >= 64:
                self._pedals.add(channel)
            else:
                self._pedals.discard(channel)


def note_off(channel: int, pitch: int) -> bytes:
    """The message."""
    return bytes((NOTE_OFF | channel, pitch, 0))
