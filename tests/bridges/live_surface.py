"""Live with the Remote Script in it, and the service; time moves both."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import fake_live
from bridge_service import BridgeService
from fake_live import Clip, Host, MidiNoteSpecification
from live_bridge import imported, install

TICK_NS = 40_000_000
BEAT_NS = 500_000_000  # at 120
CONTROL = {"trigger": 20, "stop": 21, "toggle": 22, "take_next": 23, "mode": 24, "clip": 25}


class Stage:
    def __init__(self, folder: Path, service: BridgeService, settings: str | None = None) -> None:
        self.host = Host()
        self.song: Any = self.host.live_song
        self.service = service
        self.now_ns = 0
        script = install(folder, service.server.port)
        if settings is not None:
            (script / "settings.json").write_text(settings, encoding="utf-8")
        self._exits = contextlib.ExitStack()
        self._exits.enter_context(fake_live.installed())
        package = self._exits.enter_context(imported(folder))
        self.surface = package.create_instance(self.host)
        self.surface._now_s = lambda: self.now_ns / 1e9

    def close(self) -> None:
        self.surface.disconnect()
        self._exits.close()
        self.service.close()

    def run(self, duration_ns: int, *, served: bool = True) -> None:
        """Let time pass; Live's song moves on while it plays. served: the service is there."""
        end_ns = self.now_ns + duration_ns
        while self.now_ns < end_ns:
            self.now_ns += TICK_NS
            if self.song.is_playing:
                self.song.current_song_time += TICK_NS / 60e9 * self.song.tempo
            self.song.follow_markers()
            if served:
                self.service.pump(self.now_ns)
            self.host.tick()
            if served:
                self.service.pump()

    def press(self, name: str, value: int = 127) -> None:
        self.surface.receive_midi((0xBF, CONTROL[name], value))

    def select(self, *notes: tuple[float, int, int, float], bars: int = 2) -> Any:
        """A clip with these notes in the first slot, selected."""
        slot = self.song.tracks[0].clip_slots[0]
        slot.clip = Clip(bars * 4)
        slot.clip.name = "verse"
        slot.clip.notes = [
            MidiNoteSpecification(pitch, beat, beats, velocity)
            for beat, pitch, velocity, beats in notes
        ]
        self.song.view.highlighted_clip_slot = slot
        return slot
