"""New parameters act within a beat on what plays, however far ahead it has been made."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from performances import fresh_state
from rwkv_music_daemon.messages import Proposed
from rwkv_music_daemon.parameters import MADE_BY, OF_THE_REQUEST, PARAMETERS, Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import BEAT_MS, events, heard_bars, hung, ms, onsets_ms, play_note, running

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)
RWKV = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=5)), VOCABULARY)


def playing(until_ms: float, worker_ms: float = 0, **generation: Any) -> Rehearsal:
    """Four bars from bar 1 on play, low and with a seed."""
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    wishes = {"bars": 4, "pitch_high": 40, "seed": 7, **generation}
    r = Rehearsal(RWKV, Generation(**wishes), transport, worker_ns=ms(worker_ms))
    play_note(r, 100, 60, 300)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(until_ms))
    return r


def played(r: Rehearsal) -> list[tuple[float, int]]:
    return [(round(beat, 6), pitch) for _, beat, pitch, _, _ in events(r, "/rwkv/note/played")]


def set_high(r: Rehearsal) -> None:
    for name in ("pitch_high", "pitch_low"):
        r.ask(f"/rwkv/set/{name}", 80)


@pytest.mark.parametrize("worker_ms", [0, 2])
@pytest.mark.parametrize("horizon_beats", [0.25, 1, 4, 8])
@pytest.mark.parametrize("at_ms", [2010, 3333, 3990, 4700])
def test_a_beat_later_every_note_is_made_anew(
    at_ms: float, horizon_beats: float, worker_ms: float
) -> None:
    r = playing(at_ms, worker_ms, horizon_beats=horizon_beats)
    set_high(r)
    r.run_until_ns(ms(11_000))
    acts = at_ms / BEAT_MS + 1
    assert {pitch for beat, pitch in played(r) if beat >= acts} == {80}
    assert all(pitch <= 40 for beat, pitch in played(r) if beat < acts - 1 / 12)
    # The figures are those of what sounded, and nothing sounded twice or not at all.
    ((_, bars, notes, _, dropped, _),) = events(r, "/rwkv/done")
    assert (bars, dropped) == (4, 0)
    assert notes == len(onsets_ms(r)) == len(played(r)) == sum(map(len, heard_bars(r))) - 1
    assert len(set(played(r))) == len(played(r))
    assert hung(r) == set()


def test_the_same_change_at_the_same_beat_plays_the_same_at_every_horizon() -> None:
    runs = []
    for horizon_beats in (1, 3, 8):
        r = playing(3333, horizon_beats=horizon_beats)
        set_high(r)
        r.run_until_ns(ms(11_000))
        runs.append(played(r))
    assert runs[0] == runs[1] == runs[2]


def test_without_a_change_nothing_is_made_again() -> None:
    r = playing(3000, horizon_beats=8)
    unchanged = played(playing(11_000, horizon_beats=8))
    for name in PARAMETERS:
        value = r.conductor.generation.value(name)
        r.ask(f"/rwkv/set/{name}", value)
    r.run_until_ns(ms(11_000))
    assert played(r) == unchanged


def test_what_the_model_needs_to_know_is_what_it_samples_by() -> None:
    assert set(MADE_BY) == {field.name for field in fields(Sampling)} | {"let_ring"}
    assert set(OF_THE_REQUEST) <= set(PARAMETERS)


@pytest.mark.parametrize("name", OF_THE_REQUEST)
def test_what_a_request_is_stays_and_is_for_the_next_one(name: str) -> None:
    value = {"bars": 1, "takes": 2, "seed": 1, "quantize": "beat"}[name]
    r = playing(3000)
    r.ask(f"/rwkv/set/{name}", value)
    r.run_until_ns(ms(11_000))
    assert played(r) == played(playing(11_000))
    assert events(r, "/rwkv/done")[0][1] == 4


def test_a_take_that_is_played_again_can_be_changed_and_one_that_is_made_new_is() -> None:
    r = playing(10_100, horizon_beats=8)
    r.conductor.select(r.clock.now_ns(), 0)  # from 12,000 on
    r.run_until_ns(ms(13_000))
    set_high(r)
    r.run_until_ns(ms(20_100))
    selected = [(round(beat - 20, 6), pitch) for beat, pitch in played(r) if beat >= 24]
    first = [(beat, pitch) for beat, pitch in played(r) if beat < 24]
    assert [n for n in selected if n[0] < 7] == [n for n in first if n[0] < 7]
    assert {pitch for beat, pitch in selected if beat >= 7} == {80}
    r.conductor.regenerate(r.clock.now_ns())
    before = len(played(r))
    r.run_until_ns(ms(31_000))
    assert {pitch for _, pitch in played(r)[before:]} == {80}


def test_what_is_armed_is_made_as_is_wished_when_it_starts() -> None:
    r = playing(1000)
    set_high(r)
    r.run_until_ns(ms(11_000))
    assert {pitch for _, pitch in played(r)} == {80}


def test_a_note_ends_on_the_channel_on_which_it_began() -> None:
    r = running(bars=2)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2250))  # in mid-note
    r.ask("/rwkv/set/channel_out", 5)
    r.run_until_ns(ms(7000))
    sent = [(m[0] & 0x0F, m[1]) for _, m in r.sent]
    assert sent[:2] == [(0, 60), (0, 60)]
    assert {channel for channel, _ in sent[2:]} == {4}
    assert r.output.sounding == 0


@pytest.mark.parametrize(("before", "after"), [(0, -300), (-300, 0), (0, 200), (100, -350)])
@pytest.mark.parametrize("horizon_beats", [0.25, 8])
def test_a_nudge_shifts_what_is_not_due_yet(
    before: float, after: float, horizon_beats: float
) -> None:
    r = running(bars=4, nudge_ms=before, horizon_beats=horizon_beats)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(3100))
    r.ask("/rwkv/set/nudge_ms", after)
    r.run_until_ns(ms(12_000))
    shifts = [t - (2000 + k * BEAT_MS) for k, t in enumerate(onsets_ms(r))]
    changed = next(k for k, shift in enumerate(shifts) if abs(shift - after) < 0.01)
    assert shifts == pytest.approx([before] * changed + [after] * (16 - changed), abs=0.01)
    assert 3 <= changed <= 5
    assert events(r, "/rwkv/done")[0][2:5] == (16, 0, 0)
    assert hung(r) == set()


def test_notes_on_their_way_when_it_changes_are_told_from_the_new_ones() -> None:
    """What the worker has sent before it knew is no part of the new edition."""
    r = running(bars=4, horizon_beats=8)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2100))
    r.ask("/rwkv/set/temperature", 0.5)  # acts from step 14 of the bar on
    for onset, edition in ((36, 0), (36, 1), (11, 0), (13, 1)):
        note = (onset, 30 + edition, 80, 1)
        r.conductor.worker(Proposed(1, 0, note, edition), r.clock.now_ns())
    r.run_until_ns(ms(4000))
    beats = [(beat, pitch) for beat, pitch in played(r) if pitch < 40]
    assert beats == [(pytest.approx(4 + 11 / 12), 30), (pytest.approx(4 + 13 / 12), 31), (7, 31)]


@pytest.mark.parametrize(
    ("meter", "at_ms", "horizon_beats", "worker_ms"),  # its second bar begins at 4000
    [
        (Meter(3, 4), 2500, 1, 0),
        (Meter(3, 4), 2500, 8, 5),
        (Meter(3, 4), 3700, 1, 0),
        (Meter(3, 4), 3700, 0.25, 2),
        (Meter(3, 4), 3990, 1, 5),
        (Meter(7, 8), 3450, 8, 2),
        (Meter(7, 8), 3990, 8, 0),
        (Meter(5, 4), 3450, 8, 5),
        (Meter(5, 4), 3990, 1, 0),
    ],
)
def test_a_meter_that_changes_within_the_horizon_is_that_of_what_is_made(
    meter: Meter, at_ms: float, horizon_beats: float, worker_ms: float
) -> None:
    r = running("steps", bars=3, horizon_beats=horizon_beats)
    r._worker_ns = ms(worker_ms)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(at_ms))
    r.transport.set_meter(meter, r.clock.now_ns())
    r.run_until_ns(ms(12_000))
    steps = 48 + 2 * meter.steps
    assert onsets_ms(r) == pytest.approx([2000 + k * BEAT_MS / 12 for k in range(steps)], abs=0.01)
    assert events(r, "/rwkv/done")[0][:5] == (1, 3, steps, 0, 0)
    assert [str(bar.meter) for bar in r.conductor.assembler.bars][:4] == [
        *("4/4", "4/4"),
        *(str(meter), str(meter)),
    ]
    assert events(r, "/rwkv/error") == []
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel("steps"))


@pytest.mark.parametrize("at_ms", [1010, 1125, 1240])
def test_a_bar_that_is_shortened_when_more_of_it_has_gone_out_stays_one_that_can_be_told(
    at_ms: float,
) -> None:
    """Notes are sent two beats early, and the meter leaves the bar two."""
    r = running("steps", tempo_bpm=240.0, bars=2, nudge_ms=-500)
    r.conductor.trigger(r.clock.now_ns())  # from 1000 on
    r.run_until_ns(ms(at_ms))
    r.transport.set_meter(Meter(2, 4), r.clock.now_ns())
    r.run_until_ns(ms(4000))
    assert events(r, "/rwkv/error") == []
    bars = r.conductor.assembler.bars
    assert [str(bar.meter) for bar in bars][:3] == ["4/4", "2/4", "2/4"]
    assert sum(len(bar.notes) for bar in bars) == len(onsets_ms(r))
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel("steps"))
    assert hung(r) == set()


def test_a_meter_that_changes_and_changes_back_leaves_the_notes_on_their_beats() -> None:
    r = running("steps", bars=3, horizon_beats=4)
    r.conductor.trigger(r.clock.now_ns())
    for at_ms, meter in ((3300, Meter(3, 4)), (3500, Meter(4, 4))):
        r.run_until_ns(ms(at_ms))
        r.transport.set_meter(meter, r.clock.now_ns())
    r.run_until_ns(ms(9000))
    assert onsets_ms(r) == pytest.approx([2000 + k * BEAT_MS / 12 for k in range(144)], abs=0.01)


@pytest.mark.parametrize("at_ms", [3300, 3700])
def test_what_is_queued_begins_on_the_line_that_a_new_meter_gives_it(at_ms: float) -> None:
    r = running("steps", bars=2, horizon_beats=8)
    r.conductor.worker_up("steps", ms(2200))  # so that the next is asked for in the first bar
    r.run_until_ns(ms(100))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(4100))
    r.conductor.trigger(r.clock.now_ns(), 1)
    r.run_until_ns(ms(at_ms + 2000))
    r.transport.set_meter(Meter(3, 4), r.clock.now_ns())
    r.run_until_ns(ms(12_000))
    steps = 48 + 36 + 36
    assert onsets_ms(r) == pytest.approx([4000 + k * BEAT_MS / 12 for k in range(steps)], abs=0.01)
    assert [done[:5] for done in events(r, "/rwkv/done")] == [(1, 2, 84, 0, 0), (2, 1, 36, 0, 0)]


@pytest.mark.parametrize("deeds", ["s", "g", "ss", "sg", "gs"])  # select, regenerate
def test_a_take_that_was_made_in_another_meter_is_made_in_this_one(deeds: str) -> None:
    r = running("steps", bars=2, takes=2)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(6700))
    r.transport.set_meter(Meter(3, 4), r.clock.now_ns())  # from 8000 on
    r.run_until_ns(ms(8100))
    for number, deed in enumerate(deeds):
        if deed == "s":
            r.conductor.select(r.clock.now_ns(), 1)
        else:
            r.conductor.regenerate(r.clock.now_ns())
        line_ms = 9500 + 4500 * number
        r.run_until_ns(ms(line_ms + 3100))
        again = [t for t in onsets_ms(r) if t > line_ms - 100]
        assert again == pytest.approx([line_ms + k * BEAT_MS / 12 for k in range(72)], abs=0.01)
    assert events(r, "/rwkv/error") == []


def test_the_state_is_that_of_what_sounded() -> None:
    r = running("steps", bars=3, horizon_beats=8)
    r.conductor.trigger(r.clock.now_ns())
    for at_ms in range(2100, 7000, 170):
        r.run_until_ns(ms(at_ms))
        r.ask("/rwkv/set/density", at_ms % 1000 / 500)
    r.run_until_ns(ms(9000))
    assert len(onsets_ms(r)) == 3 * 48
    assert events(r, "/rwkv/done")[0][2] == 3 * 48
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel("steps"))
