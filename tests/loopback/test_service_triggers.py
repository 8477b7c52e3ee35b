"""MIDI messages that are commands, configured or learned."""

from __future__ import annotations

import json
import time

from live_stage import live_stage, note_ons, wait_for

from benchmarks.rig import JackServer


def test_a_pedal_that_was_learned_triggers_and_is_remembered(jack_server: JackServer) -> None:
    with live_stage(jack_server, midi__triggers="{stop: note 36}") as stage:
        stage.osc.request("/rwkv/learn", "trigger")
        pedal = [bytes((0xB3, 66, value)) for value in (127, 0)]
        stage.send(*pedal)  # this is what is learned
        learned = stage.service.data_dir / "learned.json"
        wait_for(learned.exists, "nothing was learned")
        assert json.loads(learned.read_text(encoding="utf-8"))["learned"] == {
            "trigger": "cc 66 ch 4"
        }
        assert stage.events.of("/rwkv/note/played") == []
        stage.send(*pedal)
        stage.events.wait_for("/rwkv/note/played")
        stage.send(bytes((0x90, 36, 100)), bytes((0x80, 36, 0)))
        stage.events.wait_for("/rwkv/done")
        time.sleep(0.05)
        assert note_ons(stage.probe.heard()) == [60]
        # What was a command was not heard as music.
        assert [m.args[1] for m in stage.osc.request("/rwkv/history")[:-1]] == [60]
