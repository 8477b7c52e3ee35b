"""What each parameter does to the output. A parameter without its effect here fails, and so does
an effect that would be seen without its parameter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from rwkv_music_daemon.conductor import Conductor
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.osc.requests import NOT_ONCE
from rwkv_music_daemon.parameters import PARAMETERS, Generation, Value
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, heard_bars, lift, ms, onsets_ms, play_note, press

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.keys import scale_classes
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)
RWKV = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=5)), VOCABULARY)
ENDS_MS = 6000  # of the completion of two bars, which starts at 2000
MAJOR_CHORD = (66, 70, 73)  # F sharp

EFFECTS: dict[str, Callable[[], None]] = {}


def shows(effect: Callable[[], None]) -> Callable[[], None]:
    """The function of a parameter's name shows what that does."""
    EFFECTS[effect.__name__] = effect
    return effect


def perform(until_ms: float = 8000, worker_ms: float = 0, **wishes: Any) -> Rehearsal:
    """The parameters are set over OSC; then a chord is played, and a completion of two bars."""
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    plain = Generation(bars=2, seed=1)
    r = Rehearsal(RWKV, plain, transport, worker_ns=ms(worker_ms), new_seed=iter(range(9)).__next__)
    for name, value in wishes.items():
        r.ask(f"/rwkv/set/{name}", value)
    assert {address for address, _ in r.replies()} <= {f"/rwkv/param/{name}" for name in wishes}
    for pitch in MAJOR_CHORD:
        r.play(press(pitch), ms(100))
    for pitch in MAJOR_CHORD:
        r.play(lift(pitch), ms(1100))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(until_ms))
    return r


def notes(r: Rehearsal) -> list[tuple[float, int, int, float]]:
    """Beat, pitch, velocity, beats of what was played."""
    return [args[1:] for args in events(r, "/rwkv/note/played")]


def pitches(**wishes: Any) -> set[int]:
    return {pitch for _, pitch, _, _ in notes(perform(**wishes))}


def classes(**wishes: Any) -> set[int]:
    return {pitch % 12 for pitch in pitches(**wishes)}


def ours(r: Rehearsal) -> list[tuple[float, bytes]]:
    """What went out, without clicks and the player's chord."""
    return [(t / 1e6, m) for t, m in r.sent if t >= ms(1400)]


@shows
def bars() -> None:
    assert events(perform(bars=1), "/rwkv/done")[0][1] == 1
    assert events(perform(bars=2), "/rwkv/done")[0][1] == 2


@shows
def takes() -> None:
    assert [len(events(perform(takes=n), "/rwkv/take")) for n in (1, 3)] == [1, 3]


@shows
def temperature() -> None:
    likeliest = [notes(perform(temperature=0, seed=seed)) for seed in (1, 2)]
    assert likeliest[0] == likeliest[1] != notes(perform(seed=1)) != notes(perform(seed=2))


@shows
def top_p() -> None:
    assert len(pitches(top_p=0.05)) < len(pitches(top_p=1))


@shows
def top_k() -> None:
    assert notes(perform(top_k=1)) == notes(perform(temperature=0)) != notes(perform(top_k=20))


@shows
def min_p() -> None:
    assert notes(perform(min_p=1)) == notes(perform(temperature=0)) != notes(perform(min_p=0))


@shows
def repetition_penalty() -> None:
    def repeats(penalty: float) -> float:
        played = notes(perform(repetition_penalty=penalty, pitch_low=60, pitch_high=66, bars=4))
        return sum(a[1] == b[1] for a, b in pairwise(played)) / len(played)

    assert repeats(2) < repeats(1)


@shows
def seed() -> None:
    assert notes(perform(seed=1)) == notes(perform(seed=1)) != notes(perform(seed=2))
    new_each_time = perform(seed=-1)
    assert [args[4] for args in events(new_each_time, "/rwkv/take")] == [0]


@shows
def key() -> None:
    assert classes(key="D") <= scale_classes(2, "major")
    assert classes(key="auto") <= scale_classes(6, "major")  # as the chord says
    assert len(classes(key="none")) > 7


@shows
def scale() -> None:
    assert classes(key="C", scale="blues") <= scale_classes(0, "blues")
    assert not classes(key="C", scale="major") <= scale_classes(0, "blues")


@shows
def pitch_low() -> None:
    assert min(pitches(pitch_low=90)) >= 90 > min(pitches())


@shows
def pitch_high() -> None:
    assert max(pitches(pitch_high=40)) <= 40 < max(pitches())


@shows
def density() -> None:
    counts = [len(notes(perform(density=density))) for density in (0.1, 1, 4)]
    assert counts == sorted(set(counts))


@shows
def polyphony() -> None:
    def most_voices(limit: int) -> int:
        played = notes(perform(polyphony=limit))
        return max(sum(b <= beat < b + length for b, _, _, length in played) for beat, *_ in played)

    assert most_voices(2) == 2 < most_voices(0)


@shows
def velocity_scale() -> None:
    loudest = [max(v for _, _, v, _ in notes(perform(velocity_scale=s))) for s in (0.2, 1)]
    assert loudest[0] < 30 < loudest[1]


@shows
def quantize() -> None:
    first = {where: notes(perform(quantize=where))[0][0] for where in ("bar", "beat", "now")}
    assert first["bar"] >= 4
    assert 3 <= first["beat"] < 4
    assert 2.2 < first["now"] < 4


@shows
def grid() -> None:
    for name, onset in (("full", 2), ("sixteenths", 3), ("triplets", 4)):
        assert heard_bars(perform(grid=name))[0][0][0] == onset


@shows
def horizon_beats() -> None:
    def complete_ms(beats: float) -> float:
        r = perform(horizon_beats=beats)
        return next(t for t, address, _ in r.events if address == "/rwkv/take") / 1e6

    assert complete_ms(8) < 2200 < 4900 < complete_ms(1) < 5600 < complete_ms(0.25)


@shows
def let_ring() -> None:
    def last_off_ms(rings: int) -> float:
        return ours(perform(12_000, let_ring=rings))[-1][0]

    assert last_off_ms(0) == pytest.approx(ENDS_MS, abs=1)
    assert last_off_ms(1) > ENDS_MS + 100


@shows
def overlap() -> None:
    def with_a_note(way: str) -> tuple[bool, bool]:
        r = perform(2500, overlap=way, pitch_high=40)
        play_note(r, 2600, 90, 200)
        r.run_until_ns(ms(8000))
        heard = any(pitch == 90 for bar in heard_bars(r) for _, pitch, _, _ in bar)
        return heard, max(onsets_ms(r), default=0) > 4000

    assert with_a_note("merge") == (True, True)
    assert with_a_note("ignore") == (False, True)
    assert with_a_note("interrupt") == (True, False)


@shows
def thru() -> None:
    sent = [[m for t, m in perform(thru=on).sent if t < ms(1400)] for on in (0, 1)]
    assert sent[0] == []
    assert sent[1] == [*map(press, MAJOR_CHORD), *map(lift, MAJOR_CHORD)]


@shows
def channel_in() -> None:
    assert [len(heard_bars(perform(channel_in=n))[0]) for n in (0, 1, 2)] == [3, 3, 0]


@shows
def channel_out() -> None:
    assert {m[0] & 0x0F for _, m in ours(perform(channel_out=7))} == {6}


@shows
def nudge_ms() -> None:
    plain = onsets_ms(perform())
    for nudge in (-50, 80):
        assert onsets_ms(perform(nudge_ms=nudge)) == pytest.approx(
            [t + nudge for t in plain], abs=0.01
        )


@shows
def late_tolerance_ms() -> None:
    dropped = [
        events(perform(worker_ms=60, late_tolerance_ms=tolerance), "/rwkv/done")[0][4]
        for tolerance in (0, 200)
    ]
    assert dropped[0] > dropped[1]


def clicks(r: Rehearsal, channel: int = 10) -> list[bytes]:
    return [m for _, m in r.sent if m[0] == 0x90 | channel - 1 and m[2] and m[1] in (76, 77)]


@shows
def metronome() -> None:
    assert [len(clicks(perform(1900, metronome=on))) for on in (0, 1)] == [0, 4]


@shows
def metronome_channel() -> None:
    r = perform(1900, metronome=1, metronome_channel=3)
    assert [len(clicks(r, channel)) for channel in (10, 3)] == [0, 4]


@shows
def count_in() -> None:
    r = Rehearsal(RWKV, Generation(), Transport(120.0, None, "internal"))
    r.ask("/rwkv/set/count_in", 1)
    r.ask("/rwkv/transport/play")
    r.run_until_ns(ms(3900))
    assert len(clicks(r)) == 4


def test_every_parameter_of_the_table_is_here_and_no_other() -> None:
    assert set(EFFECTS) == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_it_has_an_effect(name: str) -> None:
    EFFECTS[name]()


@pytest.mark.parametrize("name", PARAMETERS)
def test_without_its_effect_that_would_be_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it accepted and then ignored, what is above would fail."""
    obey = Conductor.set_parameter

    def ignore(conductor: Conductor, wished: str, value: object, now_ns: int) -> Value:
        if wished == name:
            return PARAMETERS[name].check(value)
        return obey(conductor, wished, value, now_ns)

    monkeypatch.setattr(Conductor, "set_parameter", ignore)
    with pytest.raises((AssertionError, StopIteration, ValueError)):
        EFFECTS[name]()


def wrong_values() -> list[tuple[str, Value]]:
    wrong: list[tuple[str, Value]] = []
    for name, parameter in PARAMETERS.items():
        if parameter.choices:
            wrong.append((name, "no such word"))
        else:
            wrong += [(name, float(parameter.minimum) - 1), (name, float(parameter.maximum) + 1)]
    return wrong


@pytest.mark.parametrize(("name", "value"), wrong_values())
def test_out_of_range_is_422_and_changes_nothing(name: str, value: Value) -> None:
    """Neither what lasts, nor the next request, nor what plays, nor what the worker was told."""
    r = Rehearsal(ScriptedModel(), Generation(bars=1), Transport(120.0, None, "internal"))
    r.conductor.trigger(0)
    r.run_until_ns(ms(700))
    playing = r.conductor.performer.playing
    assert playing is not None
    before = r.conductor.generation, playing.generation, list(r.events), playing.revisions
    for verb in ("set",) if name in NOT_ONCE else ("set", "once"):
        with pytest.raises(OscError, match=name) as error:
            r.ask(f"/rwkv/{verb}/{name}", value)
        assert error.value.code == 422
    after = r.conductor.generation, playing.generation, r.events, playing.revisions
    assert after == before
    assert r.replies() == []
    assert r.conductor.wishes.take() == before[0]
    r.run_until_ns(ms(3000))
    assert [pitch for _, pitch, _, _ in notes(r)] == [60, 61, 62, 63]
