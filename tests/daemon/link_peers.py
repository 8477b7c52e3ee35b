"""A Link session as others keep it up: beats that go on whatever we do."""

from __future__ import annotations

from dataclasses import dataclass

from rwkv_music_daemon.transport import LinkState, Transport


@dataclass
class Peers:
    """`beat` of the session is at 0 ns. The same count serves for every quantum."""

    tempo_bpm: float = 120.0
    beat: float = 17.3
    peers: int = 1
    plays: bool = False
    started_ns: int = 0

    def beat_at(self, t_ns: float) -> float:
        return self.beat + t_ns * self.tempo_bpm / 60e9

    def ns_at(self, beat: float) -> int:
        return round((beat - self.beat) * 60e9 / self.tempo_bpm)

    def tell(self, transport: Transport, t_ns: int) -> None:
        """Let the transport know how it stands."""
        state = LinkState(
            t_ns,
            self.beat_at(t_ns),
            transport.link_quantum,
            self.tempo_bpm,
            self.peers,
            self.plays,
            self.started_ns,
        )
        transport.link(state, t_ns)

    def change_tempo(self, tempo_bpm: float, t_ns: int) -> None:
        """From that moment on, with the beat where it is."""
        here = self.beat_at(t_ns)
        self.tempo_bpm = tempo_bpm
        self.beat = here - t_ns * tempo_bpm / 60e9

    def start(self, t_ns: int) -> None:
        self.plays, self.started_ns = True, t_ns
