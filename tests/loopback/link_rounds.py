"""Two peers and the service in one Link session, on a network that only this process tree has.

Run it by `unshare --net`; it prints what was found as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from rwkv_music_daemon.osc.client import OscClient  # noqa: E402

from benchmarks.rig import JackServer, Probe, Service  # noqa: E402

_PEER = Path(__file__).with_name("link_peer.py")
_QUANTUM = 4.0
_ASKS = 60
_SETTLED_MS = 2.0


class Peer:
    def __init__(self, tempo_bpm: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_PEER), str(tempo_bpm)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, order: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Found(dict[str, Any]):
    """What is told of each step."""

    def wait(self, name: str, is_so: Callable[[], bool], timeout_s: float = 10.0) -> None:
        ends_s = time.monotonic() + timeout_s
        while not (so := is_so()) and time.monotonic() < ends_s:
            time.sleep(0.05)
        self[name] = so


def status(osc: OscClient) -> dict[str, Any]:
    """With the moment in the middle of asking: it is answered within one turn of the loop."""
    before_ns = time.monotonic_ns()
    messages = osc.request("/rwkv/status")
    after_ns = time.monotonic_ns()
    state, bar, beat, tempo, _, _, source, _ = messages[-1].args
    return {
        "t_ns": (before_ns + after_ns) / 2,
        "took_ms": (after_ns - before_ns) / 1e6,
        "state": state,
        "bar": bar,
        "beat": beat,
        "tempo": tempo,
        "source": source,
    }


def phase_ms(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """How far our bar is behind theirs."""
    beat_ns = 60e9 / theirs["tempo"]
    there = theirs["beat"] + (ours["t_ns"] - theirs["t_ns"]) / beat_ns
    off = (there - ours["beat"] + _QUANTUM / 2) % _QUANTUM - _QUANTUM / 2
    return float(off * beat_ns / 1e6)


def settled_ms(osc: OscClient, peers: list[Peer]) -> list[float]:
    """How far we are off each peer's phase, once what was off is corrected: at most three looks."""
    found = phases_ms(osc, peers)
    for _ in range(2):
        if max(map(abs, found)) < _SETTLED_MS:
            break
        time.sleep(1)
        found = phases_ms(osc, peers)
    return found


def phases_ms(osc: OscClient, peers: list[Peer]) -> list[float]:
    """The median against each peer, of the answers that came soonest."""
    asked = sorted((status(osc) for _ in range(_ASKS)), key=lambda one: one["took_ms"])
    found = []
    for peer in peers:
        theirs = peer.ask("state")
        offs = sorted(phase_ms(ours, theirs) for ours in asked[: _ASKS // 3])
        found.append(offs[len(offs) // 2])
    return found


def first_note_ms(osc: OscClient, probe: Probe, peer: Peer) -> float:
    """Trigger, and how late of the peer's bar line the first note is heard."""
    probe.heard()
    osc.request("/rwkv/trigger")
    ends_s = time.monotonic() + 8
    struck: list[int] = []
    while not struck and time.monotonic() < ends_s:
        time.sleep(0.05)
        struck = [t for t, m in probe.heard() if m[0] & 0xF0 == 0x90 and m[2]]
    theirs = peer.ask("state")
    osc.request("/rwkv/stop")
    return phase_ms({"t_ns": struck[0], "beat": 0.0}, theirs) if struck else float("nan")


def rounds(osc: OscClient, probe: Probe, peers: list[Peer]) -> Found:
    found = Found()
    first, second = peers
    found.wait("all see two others", lambda: all(p.ask("state")["peers"] == 2 for p in peers))
    found.wait("its tempo", lambda: abs(status(osc)["tempo"] - first.ask("state")["tempo"]) < 0.01)
    found["source"] = status(osc)["source"]
    found["first note ms"] = first_note_ms(osc, probe, first)
    found["phases ms"] = settled_ms(osc, peers)
    second.ask("tempo 133")
    found.wait("a new tempo", lambda: abs(status(osc)["tempo"] - 133) < 0.01)
    found["phases then ms"] = settled_ms(osc, peers)
    osc.request("/rwkv/transport/stop")
    first.ask("play")
    found.wait("they start us", lambda: status(osc)["state"] == "listening")
    found.wait("from bar 0", lambda: status(osc)["bar"] == 0, 4)
    first.ask("stop")
    found.wait("they stop us", lambda: status(osc)["state"] == "idle")
    osc.request("/rwkv/transport/source", "link")
    osc.request("/rwkv/transport/tempo", 88.0)
    found.wait(
        "we set the tempo", lambda: all(abs(p.ask("state")["tempo"] - 88) < 0.01 for p in peers)
    )
    osc.request("/rwkv/transport/play")
    found.wait("we start them", lambda: all(p.ask("state")["plays"] for p in peers))
    osc.request("/rwkv/transport/source", "auto")
    before = status(osc)
    for peer in peers:
        peer.close()
    found.wait("it falls back", lambda: status(osc)["source"] == "internal", 20)
    after = status(osc)
    went = (after["t_ns"] - before["t_ns"]) * before["tempo"] / 60e9
    found["jump beats"] = after["beat"] - before["beat"] - went
    return found


def main() -> None:
    for words in ("link set lo up", "link set lo multicast on", "route add 224.0.0.0/4 dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    settings = {"transport.link": "true", "generation.bars": 1}
    peers = [Peer(97.0)]
    try:
        time.sleep(1)  # who is there first gives the tempo
        peers.append(Peer(110.0))
        with (
            JackServer(period=64) as server,
            Probe(server.env) as probe,
            Service(server.env, settings) as service,
            OscClient(port=service.osc_port) as osc,
        ):
            probe.listen_to(server.wait_for_port("RWKV Music Out"))
            print(json.dumps(rounds(osc, probe, peers)))
    finally:
        for peer in peers:
            peer.close()


if __name__ == "__main__":
    main()
