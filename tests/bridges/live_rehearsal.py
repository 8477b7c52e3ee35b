"""A minute in Live with the Remote Script, for Live's own Pythons: standard library only.

    python3.7 live_rehearsal.py FOLDER    # where RWKV_Music is installed

Talks to a service that runs elsewhere, and prints what was shown and written as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import fake_live
from fake_live import Clip, Host, MidiNoteSpecification


def run(host, until, seconds=10.0):
    """Tick as Live does until something is so."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds} s: {host.shown} {host.log}")
        host.tick()
        time.sleep(0.01)


def main(folder):
    sys.path.insert(0, folder)
    import RWKV_Music

    host = Host()
    song = host.live_song
    surface = RWKV_Music.create_instance(host)
    run(host, lambda: host.shown)
    song.current_song_time = 2.0
    song.change(is_playing=True)
    surface.receive_midi((0xBF, 20, 127))
    run(host, lambda: len(host.shown) > 1)
    slot = song.tracks[0].clip_slots[0]
    slot.clip = Clip(4)
    slot.clip.notes = [MidiNoteSpecification(60, 0.5, 0.5, 90), MidiNoteSpecification(64, 3.5, 0.5)]
    song.view.highlighted_clip_slot = slot
    surface.receive_midi((0xBF, 25, 127))
    run(host, lambda: song.undo_steps)
    surface.disconnect()
    written = song.tracks[0].clip_slots[1].clip.notes
    print(
        json.dumps(
            {
                "shown": host.shown,
                "log": host.log,
                "written": [[n.start_time, n.pitch, n.duration, n.velocity] for n in written],
            }
        )
    )


if __name__ == "__main__":
    with fake_live.installed():
        main(sys.argv[1])
