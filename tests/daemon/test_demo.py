"""The demo: the same pipeline by hand and in real time, its figures, its files, its end."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import mido
import pytest
from click.testing import CliRunner
from rwkv_music_daemon.commands.demo import command
from rwkv_music_daemon.config import Config, load_config
from rwkv_music_daemon.demo.lateness import Lateness, lateness, table
from rwkv_music_daemon.demo.performance import (
    Performance,
    parse_performance,
    shipped_performance,
)
from rwkv_music_daemon.demo.stage import LiveStage, Outcome, RehearsalStage, hanging_notes
from rwkv_music_daemon.demo.voices import voices

from rwkv_music.errors import CheckpointError, MidiFileError
from rwkv_music.midi_files import read_midi
from rwkv_music.music import STEPS_PER_BEAT, Meter

SCRIPTED = ("--set", "model.engine=scripted")


def written(*messages: mido.Message | mido.MetaMessage) -> bytes:
    file = mido.MidiFile(ticks_per_beat=480, tracks=[mido.MidiTrack(messages)])
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def short_performance() -> Performance:
    """Two bars of 3/4 at 150: a note on each beat, a little late."""
    messages: list[tuple[float, bytes]] = []
    for beat in range(6):
        messages.append((beat + 0.02, bytes((0x90, 60 + beat, 80))))
        messages.append((beat + 0.52, bytes((0x80, 60 + beat, 0))))
    return Performance(tuple(messages), Meter(3, 4), 150.0, 2)


def config_for(performance: Performance, **model: str) -> Config:
    settings = ("model.engine=scripted", "transport.source=internal")
    patience = "generation.late_tolerance_ms=200"  # a busy machine shall not drop notes here
    config = load_config(None, [*settings, patience])
    transport = replace(config.transport, tempo_bpm=performance.tempo_bpm, meter=performance.meter)
    return replace(config, transport=transport, model=replace(config.model, **model))


def pitches(outcome: Outcome, performance: Performance, bars: int) -> dict[str, list[list[int]]]:
    both = voices(outcome, performance, bars)
    return {name: [[n.pitch for n in bar.notes] for bar in phrase] for name, phrase in both.items()}


# --- performances ------------------------------------------------------------------------------


def test_the_shipped_performance_is_eight_bars_and_lifts_every_key() -> None:
    performance = shipped_performance()
    assert (performance.bars, performance.meter) == (8, Meter(4, 4))
    assert performance.tempo_bpm == pytest.approx(100)
    beats = [beat for beat, _ in performance.messages]
    assert beats == sorted(beats)
    assert hanging_notes([(0, message) for _, message in performance.messages]) == 0


def test_a_note_just_before_a_bar_line_belongs_to_the_bar_that_it_opens() -> None:
    on, off = (mido.Message(kind, note=60, velocity=64) for kind in ("note_on", "note_off"))
    performance = parse_performance(written(on.copy(time=4 * 480 - 1), off.copy(time=100)))
    assert performance.bars == 2
    assert performance.end_beat == 8


def test_a_file_without_notes_is_refused() -> None:
    with pytest.raises(MidiFileError):
        parse_performance(written(mido.MetaMessage("set_tempo", tempo=500_000)))


# --- stages ------------------------------------------------------------------------------------


def test_real_time_and_rehearsal_play_the_same_notes() -> None:
    performance = short_performance()
    config = config_for(performance)
    told: list[str] = []
    by_hand = RehearsalStage(config, lambda address, _: None).perform(performance, 2)
    with LiveStage(config, lambda address, _: told.append(address)) as stage:
        model = stage.load()
        live = stage.perform(performance, 2)
    assert model == "scripted (beats)"
    assert pitches(live, performance, 2) == pitches(by_hand, performance, 2)
    assert [len(bar) for bar in pitches(live, performance, 2)["Player"]] == [3, 3, 0, 0]
    assert [len(bar) for bar in pitches(live, performance, 2)["RWKV Music"]] == [0, 0, 3, 3]
    assert live.hanging == hanging_notes(stage.port.sent) == 0
    assert told.index("/rwkv/accepted") < told.index("/rwkv/note/played")
    assert live.first_note_ns is not None
    assert live.first_note_ns > 0


def test_the_rehearsal_is_on_time_to_the_nanosecond() -> None:
    performance = short_performance()
    outcome = RehearsalStage(config_for(performance), lambda *_: None).perform(performance, 2)
    (row,) = lateness(outcome)
    assert (row.bars, row.notes, row.late, row.dropped) == (2, 6, 0, 0)
    assert row.errors_ms == (0,) * 6
    onsets = [t for t, message in outcome.sent if message[0] & 0xF0 == 0x90 and message[2]]
    assert onsets == [outcome.place_ns(6 + beat) for beat in range(6)]


def test_leaving_the_stage_in_mid_phrase_leaves_silence_and_no_process() -> None:
    performance = short_performance()

    def interrupt(address: str, args: tuple[object, ...]) -> None:
        if address == "/rwkv/note/played":
            raise KeyboardInterrupt

    stage = LiveStage(config_for(performance), interrupt)

    def perform() -> None:
        with stage:
            stage.load()
            stage.perform(performance, 2)

    with pytest.raises(KeyboardInterrupt):
        perform()
    assert any(message[0] & 0xF0 == 0x90 for _, message in stage.port.sent)
    assert hanging_notes(stage.port.sent) == 0
    assert stage._worker.process is None
    assert not [t for t in threading.enumerate() if t.name == "output"]


def test_a_model_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    missing = tmp_path / "missing.safetensors"
    config = config_for(short_performance(), engine="auto", path=str(missing))
    with (
        pytest.raises(CheckpointError, match=r"missing\.safetensors"),
        LiveStage(config, lambda *_: None) as stage,
    ):
        stage.load()


# --- figures -----------------------------------------------------------------------------------


def outcome_of(
    sent: list[tuple[int, bytes]], events: list[tuple[str, tuple[object, ...]]]
) -> Outcome:
    return Outcome("", (), sent, events, lambda beat: round(beat * 1_000_000_000))


def test_errors_are_the_distance_of_each_note_on_from_its_own_place() -> None:
    ms = 1_000_000
    sent = [
        (1000 * ms + 2 * ms, bytes((0x90, 60, 64))),
        (1000 * ms + 2 * ms, bytes((0x90, 64, 64))),
        (1500 * ms, bytes((0x80, 60, 0))),
        (2000 * ms - ms, bytes((0x90, 60, 64))),
    ]
    places = [(1.0, 60), (1.0, 64), (2.0, 60)]
    events: list[tuple[str, tuple[object, ...]]] = [
        ("/rwkv/note/played", (5, beat, pitch, 64, 0.5)) for beat, pitch in places
    ]
    events.append(("/rwkv/done", (5, 1, 3, 1, 0, 2.0)))
    (row,) = lateness(outcome_of(sent, events))
    assert row.errors_ms == (1.0, 2.0, 2.0)
    assert (row.percentile_ms(50), row.percentile_ms(99)) == (2.0, 2.0)
    assert outcome_of(sent, events).hanging == 2


def test_the_table_is_aligned_and_a_silent_completion_has_no_times() -> None:
    rows = [
        Lateness(1, 4, 100, 0, 0, tuple(n / 100 for n in range(1, 101)), 12.5),
        Lateness(12, 4, 0, 0, 3, (), None),
    ]
    head, first, second = table(rows).splitlines()
    assert len(head) == len(first) == len(second)
    assert first.split() == [
        "1",
        "4",
        "100",
        "0",
        "0",
        "0.50",
        "ms",
        "0.99",
        "ms",
        "1.00",
        "ms",
        "12.50",
        "ms",
    ]
    assert second.split() == ["12", "4", "0", "0", "3", "-", "-", "-", "-"]


# --- the command -------------------------------------------------------------------------------


def test_fast_writes_two_voices_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    folder = tmp_path / "made" / "here"
    arguments = ["--fast", "--out", str(folder), "--bars", "3", "--seed", "7", *SCRIPTED]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "from bar 9 on" in result.output
    assert "bar  11  played 4 notes" in result.output
    assert "seed 7; 0 notes still sounding" in result.output
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    tracks = {t.name: t for t in mido.MidiFile(folder / "demo.mid").tracks}
    assert {"Player", "RWKV Music"} <= tracks.keys()
    reading = read_midi(folder / "demo.mid")
    assert len(reading.phrase) == 11
    assert reading.report.notes == sum(len(bar.notes) for bar in reading.phrase)
    last = reading.phrase[-1].notes
    assert [note.onset for note in last] == [k * STEPS_PER_BEAT for k in range(4)]


def test_without_matplotlib_it_says_how_to_get_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    arguments = ["--fast", "--out", str(tmp_path), "--bars", "1", *SCRIPTED]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "rwkv-music[plot]" in result.output
    assert (tmp_path / "demo.mid").exists()
    assert not (tmp_path / "demo.png").exists()


def test_ctrl_c_ends_it_in_silence(tmp_path: Path) -> None:
    command_line = [
        sys.executable,
        "-c",
        "from rwkv_music_daemon.cli import main; main()",
        *("demo", "--out", str(tmp_path), *SCRIPTED),
    ]
    # What is started in the background has learnt to ignore Ctrl-C, and so have the tests then.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command_line, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heard)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("bar   1"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert rest.splitlines()[-1] == "ended by Ctrl-C; 0 notes still sounding"
    assert not list(tmp_path.iterdir())
