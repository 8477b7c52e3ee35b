"""How the service starts, and how it says that it cannot."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest
from live_stage import live_stage, wait_for

from benchmarks.rig import JackServer, Service, free_udp_port
from benchmarks.rig.service import COMMAND

PATIENCE_S = 60


def run(server: JackServer, *settings: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The service, which is expected to end by itself."""
    chosen = [f"--set={text}" for text in ("midi.api=jack", "model.engine=scripted", *settings)]
    return subprocess.run(
        [*COMMAND, "run", *chosen],
        env=server.env | {name: str(value) for name, value in options.items()},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("osc.prot=7770", "osc.port"),
        ("osc.port=80000", "osc.port"),
        ("transport.meter=4/5", "transport.meter"),
        ("model.path=waltz", "model.path"),  # no script of that name; the worker says so
    ],
)
def test_a_wrong_configuration_is_2(
    jack_server: JackServer, tmp_path: Path, setting: str, expected: str
) -> None:
    ended = run(jack_server, f"service.data_dir={tmp_path}", f"osc.port={free_udp_port()}", setting)
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "ready" not in ended.stdout


def test_a_taken_osc_port_is_3(jack_server: JackServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        ended = run(jack_server, f"service.data_dir={tmp_path}", f"osc.port={port}")
    assert ended.returncode == 3
    assert f"osc.port: UDP 127.0.0.1:{port} cannot be had" in ended.stderr


def test_no_midi_system_is_3(jack_server: JackServer, tmp_path: Path) -> None:
    port = free_udp_port()
    ended = run(
        jack_server,
        f"service.data_dir={tmp_path}",
        f"osc.port={port}",
        JACK_DEFAULT_SERVER="nobody-has-this-name",
    )
    assert ended.returncode == 3
    assert "start a JACK server" in ended.stderr


def test_a_model_that_cannot_be_loaded_is_4(jack_server: JackServer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    ended = run(
        jack_server,
        f"service.data_dir={tmp_path}",
        f"osc.port={free_udp_port()}",
        "model.engine=numpy",
        f"model.path={broken}",
    )
    assert ended.returncode == 4
    assert "broken.safetensors" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_service_leaves_the_first_alone(jack_server: JackServer) -> None:
    with live_stage(jack_server) as stage:
        record = f"destinations-{stage.service.osc_port}.json"
        wait_for((stage.service.data_dir / record).exists, "no record was written")
        stage.start_note()
        heard = stage.probe.heard()
        ended = run(
            jack_server,
            f"service.data_dir={stage.service.data_dir}",
            f"osc.port={stage.service.osc_port}",
        )
        assert ended.returncode == 3
        assert "Another rwkv-music-daemon may hold it" in ended.stderr
        assert (stage.service.data_dir / record).exists()
        heard += stage.probe.heard()
        assert not [m for _, m in heard if m[0] & 0xF0 == 0xB0]  # no panic was sent
        stage.wait_until_answers()


def test_two_services_side_by_side(jack_server: JackServer) -> None:
    with Service(jack_server.env) as first, Service(jack_server.env) as second:
        time.sleep(0.1)
        assert first.ready_line()
        assert second.ready_line()
        assert len([n for n in jack_server.ports() if n.endswith("RWKV Music Out")]) == 2
        assert first.end() == 0
        assert second.end() == 0
