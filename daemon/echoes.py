"""What comes back of our output, when a DAW track monitors both ports: told from the player. Pure.

Notes are known by their pitch. Controllers may well say the same thing twice; they are known only
while our notes come back too.
"""

from __future__ import annotations

from collections import deque

from rwkv_music.timebase import NS_PER_MS

from .scheduler import CLICK, PLAYER, Strike

DRUM_CHANNEL = 9
ECHO_NS = 50 * NS_PER_MS
_MOST_OUT = 256  # messages of one kind within that time


class Echoes:
    """Remembers when each pitch was last struck on our output.

    A loop brings every note back, and one that is taken for the player's would cut our answer or
    go round for ever, so within 50 ms the pitch alone decides, although a player who strikes it
    in unison with us is lost: that note is already heard and sounds, as ours. But a player who
    holds the key has the pitch in hand; there only our own velocity is an echo.
    """

    def __init__(self) -> None:
        # Ours may come back on another channel, but our bass is not the player's snare drum.
        self._ours: dict[tuple[bool, int], tuple[int, int]] = {}  # drums?, pitch -> when, velocity
        self._others: dict[tuple[int, int], tuple[int, int]] = {}  # channel, pitch -> the same
        self._passed: dict[bytes, deque[tuple[int, bytes]]] = {}  # what it moves -> when, what
        self._came_back = False  # the last note that was expected back
        self._expected_ns: int | None = None  # since when a note has been out

    def sent(self, strike: Strike, sent_ns: int) -> None:
        """A note-on has gone out."""
        if self._expected_ns is None:
            self._expected_ns = sent_ns
        last = sent_ns, strike.velocity
        if strike.owner in (PLAYER, CLICK):
            self._others[strike.channel, strike.pitch] = last
        else:
            self._ours[strike.channel == DRUM_CHANNEL, strike.pitch] = last

    def is_ours(self, t_ns: int, channel: int, pitch: int, velocity: int, *, held: bool) -> bool:
        """Whether a note-on that comes in is a note of a completion; `held`: its key is down."""
        last = self._ours.get((channel == DRUM_CHANNEL, pitch))
        return self._seen(_is_recent(last, t_ns) and (not held or _has_velocity(last, velocity)))

    def is_thru(self, t_ns: int, channel: int, pitch: int, velocity: int, *, held: bool) -> bool:
        """Whether a note-on that comes in is a click, or what the player sent and we sent on.

        A key that is down cannot be struck again so soon, whatever the velocity; one that has
        gone up can, and so can a drum, with another velocity. The channel has to be the same:
        a keyboard in two layers sends each note on two.
        """
        last = self._others.get((channel, pitch))
        certain = held and channel != DRUM_CHANNEL
        return self._seen(_is_recent(last, t_ns) and (certain or _has_velocity(last, velocity)))

    def _seen(self, is_echo: bool) -> bool:
        if is_echo:
            self._came_back, self._expected_ns = True, None
        return is_echo

    # --- other messages ------------------------------------------------------------------------

    def passed(self, t_ns: int, message: bytes) -> None:
        """A channel message that is no note was sent on."""
        self._passed.setdefault(_moved_by(message), deque(maxlen=_MOST_OUT)).append((t_ns, message))

    def is_passed(self, t_ns: int, message: bytes) -> bool:
        """Whether a channel message that is no note is the oldest of its kind that was sent on and
        has not come back. What is sent comes back in its order, so a player who says the same
        again meanwhile is not lost: of the two, one is sent on."""
        out = self._passed.get(_moved_by(message))
        while out and t_ns - out[0][0] > ECHO_NS:
            out.popleft()
        if not out or out[0][1] != message or not self._is_loop(t_ns):
            return False
        out.popleft()
        return True

    def _is_loop(self, t_ns: int) -> bool:
        """Whether what we send comes back to us, as the last notes say."""
        overdue = self._expected_ns is not None and t_ns - self._expected_ns > ECHO_NS
        return self._came_back and not overdue


def _moved_by(message: bytes) -> bytes:
    """What a message moves: its channel and kind, and of controllers and keys, which one."""
    numbered = message[0] & 0xF0 in (0xA0, 0xB0)
    return message[:2] if numbered else message[:1]


def _is_recent(last: tuple[int, int] | None, t_ns: int) -> bool:
    return last is not None and 0 <= t_ns - last[0] <= ECHO_NS


def _has_velocity(last: tuple[int, int] | None, velocity: int) -> bool:
    return last is not None and last[1] == velocity
