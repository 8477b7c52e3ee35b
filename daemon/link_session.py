"""This computer as a peer of an Ableton Link session; the library has a thread of its own.

Link is for the local network: its peers find each other by multicast on every interface, and each
may set the tempo. So it is used only where it was asked for.
"""

from __future__ import annotations

import importlib.util
import logging

from rwkv_music.errors import ConfigError

from .clock import Clock
from .transport import LinkState, LinkWish

_LIBRARY = "link"  # as LinkPython-extern is imported
_READINGS = 3
_PROMPT_NS = 20_000  # a reading of both clocks that took no longer is as good as any

log = logging.getLogger(__name__)


def link_absence() -> str:
    """Why there can be no session, and what to do about it; empty when there can."""
    if importlib.util.find_spec(_LIBRARY) is not None:
        return ""
    return "Ableton Link needs a library: pip install 'rwkv-music[link]', then start again"


class LinkSession:
    """What a session says, in our time, and what it is asked for. One thread; nothing here waits.

    Raises ConfigError when the library is not there.
    """

    def __init__(self, clock: Clock, tempo_bpm: float) -> None:
        if absence := link_absence():
            raise ConfigError(f"transport.source: link: {absence}")
        import link

        self._clock = clock
        self._ahead_ns = 0  # Link's clock, of ours
        self._peers = 0
        self._link = link.Link(tempo_bpm)
        self._link.startStopSyncEnabled = True
        self._link.enabled = True
        log.info("Ableton Link: peers on the local network share tempo, bars, start and stop")

    def state(self, quantum: float) -> LinkState:
        """How it stands now, with the phase of a bar of so many beats."""
        micros, now_ns = self._read_clocks()
        session = self._link.captureSessionState()
        peers = self._link.numPeers()
        if peers != self._peers:
            self._peers = peers
            log.info("Ableton Link: %d peers, %.2f BPM", peers, session.tempo())
        plays = session.isPlaying()
        return LinkState(
            t_ns=now_ns,
            beat=session.beatAtTime(micros, quantum),
            quantum=quantum,
            tempo_bpm=session.tempo(),
            peers=peers,
            plays=plays,
            started_ns=session.timeForIsPlaying() * 1000 - self._ahead_ns if plays else 0,
        )

    def ask(self, wish: LinkWish) -> None:
        """Let the session have what is wished for. With other peers in it, beat 0 is on its next
        bar line from that moment on."""
        micros = (wish.t_ns + self._ahead_ns) // 1000
        session = self._link.captureSessionState()
        if wish.tempo_bpm is not None:
            session.setTempo(wish.tempo_bpm, micros)
        if wish.plays is not None:
            session.setIsPlaying(wish.plays, micros)
        if wish.quantum is not None:
            session.requestBeatAtTime(0.0, micros, wish.quantum)
        self._link.commitSessionState(session)

    def close(self) -> None:
        """Leave the session."""
        self._link.enabled = False

    def _read_clocks(self) -> tuple[int, int]:
        """This moment in microseconds of Link's clock, and in nanoseconds of ours. They run apart a
        little: one of them is corrected by the time of the network, the other is not."""
        best_ns = -1
        for _ in range(_READINGS):
            before_ns = self._clock.now_ns()
            micros = int(self._link.clock().micros())
            took_ns = self._clock.now_ns() - before_ns
            if best_ns < 0 or took_ns < best_ns:
                best_ns = took_ns
                at_ns, at_micros = before_ns + took_ns // 2, micros
                # A microsecond that is told has begun half a microsecond ago, on average.
                self._ahead_ns = micros * 1000 + 500 - at_ns
            if best_ns <= _PROMPT_NS:
                break
        return at_micros, at_ns
