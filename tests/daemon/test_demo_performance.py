from __future__ import annotations

import demo_composition
import symusic

from rwkv_music.midi_files import read_midi
from rwkv_music.music import STEPS_PER_BEAT, Meter


def test_the_shipped_file_is_the_composition() -> None:
    shipped = symusic.Score(str(demo_composition.FILE))
    assert shipped == symusic.Score.from_midi(demo_composition.performance().dumps_midi())


def test_it_is_eight_bars_that_lose_nothing_on_the_grid() -> None:
    reading = read_midi(demo_composition.FILE)
    assert [bar.meter for bar in reading.phrase] == [Meter(4, 4)] * 8
    assert reading.report.doubled == reading.report.off_keyboard == 0
    composed = demo_composition.composition()
    assert reading.report.notes == len(composed)
    heard = [
        (4 * STEPS_PER_BEAT * number + note.onset, note.pitch)
        for number, bar in enumerate(reading.phrase)
        for note in bar.notes
    ]
    assert heard == sorted((round(note.beat * STEPS_PER_BEAT), note.pitch) for note in composed)


def test_it_is_played_by_a_person_not_by_a_machine() -> None:
    composed = {(note.beat, note.pitch) for note in demo_composition.composition()}
    ticks_per_ms = demo_composition.TEMPO_BPM * demo_composition.TICKS_PER_BEAT / 60_000
    score = symusic.Score(str(demo_composition.FILE))
    offsets_ms = []
    for note in (note for track in score.tracks for note in track.notes):
        near = min(
            (beat * score.tpq for beat, pitch in composed if pitch == note.pitch),
            key=lambda tick: abs(tick - note.time),
        )
        offsets_ms.append((note.time - near) / ticks_per_ms)
    assert max(map(abs, offsets_ms)) <= 16
    assert len({round(offset) for offset in offsets_ms}) > 10
    assert len({note.velocity for track in score.tracks for note in track.notes}) > 20
