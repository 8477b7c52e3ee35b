"""Somebody else in a Link session: `python link_peer.py TEMPO`, orders and answers as lines.

It uses Ableton's library and nothing of ours, so that a fault of ours cannot hide here.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import link


def state(peer: Any, quantum: float = 4.0) -> dict[str, Any]:
    """What it knows of the session, with the beat at a moment of the monotonic clock."""
    session, clock = peer.captureSessionState(), peer.clock()
    readings = []
    for _ in range(9):  # of which one was not interrupted
        before_ns = time.monotonic_ns()
        micros = clock.micros()
        readings.append((time.monotonic_ns() - before_ns, before_ns, micros))
    took_ns, before_ns, micros = min(readings)
    return {
        "t_ns": before_ns + took_ns // 2,
        "beat": session.beatAtTime(micros, quantum),
        "tempo": session.tempo(),
        "peers": peer.numPeers(),
        "plays": session.isPlaying(),
    }


def main(tempo_bpm: float) -> None:
    peer = link.Link(tempo_bpm)
    peer.startStopSyncEnabled = True
    peer.enabled = True
    for line in sys.stdin:
        order, *values = line.split()
        if order == "state":
            print(json.dumps(state(peer)), flush=True)
            continue
        session, now = peer.captureSessionState(), peer.clock().micros()
        if order == "tempo":
            session.setTempo(float(values[0]), now)
        elif order == "play":
            session.setIsPlaying(True, now)
        elif order == "stop":
            session.setIsPlaying(False, now)
        peer.commitSessionState(session)
        print("{}", flush=True)
    peer.enabled = False


if __name__ == "__main__":
    main(float(sys.argv[1]))
