"""The commands that talk to the service, and `config`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from osc_service import OscService, Reply
from rwkv_music_daemon.cli import cli, main
from rwkv_music_daemon.commands import ctl as ctl_module
from rwkv_music_daemon.commands.ctl import shown, typed_arguments
from rwkv_music_daemon.config import Config, load_config
from rwkv_music_daemon.osc.client import OscClient
from rwkv_music_daemon.osc.framing import Message
from rwkv_music_daemon.osc.table import Request

from rwkv_music.memory import FORMAT
from rwkv_music.model.tensor_file import write_tensor_file


def answer(request: Request) -> Iterable[Reply]:
    if request.name == "status":
        yield "/rwkv/status", "idle", 0, 0.0, 120.0, 4, 4, "internal", "a model"
    elif request.name == "trigger":
        yield "/rwkv/accepted", 7, 12
    elif request.name == "set":
        yield f"/rwkv/param/{request.args[0]}", request.args[1]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def service() -> Iterator[OscService]:
    opened = OscService(answer)
    yield opened
    opened.close()


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, args)


def ctl(service: OscService, *args: str) -> Result:
    return run("ctl", "--set", f"osc.port={service.port}", *args)


def test_ctl_prints_the_answer(service: OscService) -> None:
    result = ctl(service, "/rwkv/status")
    assert result.output == '/rwkv/status idle 0 0 120 4 4 internal "a model"\n'
    assert result.exit_code == 0
    assert ctl(service, "set/nudge_ms", "-12").output == "/rwkv/param/nudge_ms -12\n"
    assert ctl(service, "stop").output == ""


@pytest.mark.parametrize(
    ("begun", "proposed"),
    [
        ("transport/s", ["transport/stop", "transport/seconds", "transport/source"]),
        ("/rwkv/und", ["/rwkv/undo"]),
        ("get/tempera", ["get/temperature"]),
        ("x", []),
    ],
)
def test_a_shell_can_complete_addresses(begun: str, proposed: list[str]) -> None:
    environ = {"_RWKV_MUSIC_DAEMON_COMPLETE": "bash_complete"}
    environ |= {"COMP_WORDS": f"rwkv-music-daemon ctl {begun}", "COMP_CWORD": "2"}
    result = CliRunner().invoke(cli, prog_name="rwkv-music-daemon", env=environ)
    assert result.output.split() == [f"plain,{word}" for word in proposed]


def test_ctl_prints_an_error_and_fails(service: OscService) -> None:
    result = ctl(service, "/rwkv/trigger", "65")
    assert result.exit_code == 1
    assert result.output.startswith('/rwkv/error 422 "bars: expected a whole number from 1 to 64')
    assert result.output.endswith(" /rwkv/trigger\n")


@pytest.mark.parametrize("option", ["--timeout", "--listen"])
@pytest.mark.parametrize("seconds", ["nan", "inf"])
def test_a_time_is_a_number_of_seconds(option: str, seconds: str) -> None:
    result = run("ctl", "status", option, seconds)
    assert result.exit_code == 2
    assert f"'{option}': {seconds}" in result.output


def test_ctl_waits_for_a_model_until_it_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than for other answers: something may be playing."""
    monkeypatch.setattr(ctl_module, "ANSWER_S", 0.2)
    asked: list[Request] = []

    def late(request: Request) -> Iterable[Reply]:
        asked.append(request)
        return ()

    service = OscService(late)

    def play() -> None:
        while not asked:
            time.sleep(0.01)
        time.sleep(0.6)
        service.server.reply(service.senders[-1], "/rwkv/model", "waltz")

    player = threading.Thread(target=play)
    player.start()
    result = ctl(service, "model/load", "waltz")
    player.join()
    refused = ctl(service, "model/load", "waltz", "--timeout", "0.1")
    service.close()
    assert (result.output, result.exit_code) == ("/rwkv/model waltz\n", 0)
    assert refused.exit_code == 1


def test_a_port_that_only_the_service_knows_cannot_be_asked() -> None:
    assert "osc.port: 0" in str(run("ctl", "status", "--set", "osc.port=0").exception)


def test_config_check_asks_for_what_is_configured(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for setting, extra in (
        ("transport.source=link", "link"),
        ("model.engine=torch", "gpu"),
        ("monitor.enabled=true", "monitor"),
    ):
        said = str(run("config", "check", "--set", setting).exception)
        assert f"pip install 'rwkv-music[{extra}]'" in said
    said = run("config", "check", "--set", "model.path=nothing.safetensors").exception
    assert f"no file {home / 'nothing.safetensors'}" in str(said)
    said = run("config", "check", "--set", "model.memory=waltz").exception
    assert "no memory 'waltz'" in str(said)
    (home / "taken").write_text("a file")
    for key in ("service.data_dir", "logging.folder"):
        said = run("config", "check", "--set", f"{key}={home / 'taken' / 'below'}").exception
        assert f"{key}: {home / 'taken'} is no folder" in str(said)
    words = ("--set", "model.path=steps", "--set", "model.engine=scripted")
    assert run("config", "check", *words).exit_code == 0


def test_config_check_looks_into_the_model_and_the_memory(home: Path) -> None:
    (home / "words.safetensors").write_text("no weights at all")
    said = run("config", "check", "--set", "model.path=words.safetensors").exception
    assert f"model.path: {home / 'words.safetensors'}: the header claims" in str(said)
    memories = home / "memories"
    memories.mkdir()
    here = ("config", "check", "--set", f"service.data_dir={home}", "--set", "model.memory=mine")
    (memories / "mine.safetensors").write_bytes(b"no memory either")
    assert "model.memory: " in str(run(*here).exception)
    metadata = {"format": FORMAT, "model": "waltzes", "fingerprint": "another"}
    write_tensor_file(memories / "mine.safetensors", {}, metadata, bfloat16=False)
    assert "a memory of waltzes, which starter cannot understand" in str(run(*here).exception)
    assert run("config", "check", "--set", "model.memory=pop").exit_code == 0


def test_ctl_listens(service: OscService) -> None:
    result = ctl(service, "stop", "--listen", "0.1")
    assert result.output == "/rwkv/state idle\n"


def test_ctrl_c_ends_listening_and_the_subscription(
    service: OscService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enough(messages: Iterable[object]) -> None:
        next(iter(messages))
        raise KeyboardInterrupt

    monkeypatch.setattr(ctl_module, "_print", enough)
    result = ctl(service, "--listen", "60")
    assert (result.exit_code, result.output) == (0, "")
    ctl(service, "ping")  # what came before it has been handled
    assert "unsubscribe" in [request.name for request in service.requests]


@pytest.mark.parametrize(
    ("events", "exit_code"),
    [([None], 1), ([None, Message("/rwkv/state", ("idle",))], 0)],
)
def test_who_listens_is_told_that_the_service_is_gone(
    service: OscService,
    monkeypatch: pytest.MonkeyPatch,
    events: list[Message | None],
    exit_code: int,
) -> None:
    def heard(client: OscClient, duration_s: float) -> Iterator[Message | None]:
        yield from events

    monkeypatch.setattr(OscClient, "listen", heard)
    result = ctl(service, "--listen", "60")
    assert result.stderr == "the service does not answer any more\n"
    assert result.stdout == "/rwkv/state idle\n" * (1 - exit_code)
    assert result.exit_code == exit_code


def test_ctl_does_not_listen_to_nobody() -> None:
    result = run("ctl", "--listen", "5", "--timeout", "0.05", "--set", "osc.port=9")
    assert "nobody answers" in str(result.exception)


def test_ctl_without_anything_to_do_is_a_usage_error() -> None:
    assert run("ctl").exit_code == 2


def test_trigger_says_where_it_starts(service: OscService) -> None:
    result = run("trigger", "--bars", "8", "--set", f"osc.port={service.port}")
    assert result.output == "accepted: request 7, from bar 12 on (counted from 0)\n"
    assert service.requests[-1].args == (8, None)


def test_nobody_there_is_exit_1_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["x", "trigger", "--timeout", "0.05", "--set", "osc.port=9"])
    with pytest.raises(SystemExit) as over:
        main()
    assert over.value.code == 1
    assert "error: nobody answers at 127.0.0.1:9" in capsys.readouterr().err


def test_a_command_that_is_spelled_alike_is_proposed() -> None:
    assert "did you mean config?" in run("confg", "check").output
    assert "did you mean" not in run("zzz").output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_without_a_trace() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "rwkv_music_daemon.cli", "config", "show"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


@pytest.mark.parametrize("name", ["ctl", "trigger", "config"])
def test_help_has_an_example(name: str) -> None:
    assert f"rwkv-music-daemon {name}" in run(name, "--help").output


def test_words_become_what_the_table_asks_for() -> None:
    assert typed_arguments("/rwkv/ping", ["3"]) == ["3"]
    assert typed_arguments("/rwkv/trigger", ["3"]) == [3]
    assert typed_arguments("/rwkv/transport/bbt", ["1.1"]) == ["1.1"]
    assert typed_arguments("/rwkv/set/key", ["C"]) == ["C"]
    assert typed_arguments("/rwkv/set/temperature", ["0.5"]) == [0.5]
    assert typed_arguments("/rwkv/set/temperature", ["hot"]) == ["hot"]
    assert typed_arguments("/elsewhere", ["1", "x", "-2.5"]) == [1, "x", -2.5]
    notes = ["id", "0", "1.5", "60", "90", "0.5"]
    assert typed_arguments("/rwkv/compose/notes", notes) == ["id", 0, 1.5, 60, 90, 0.5]


def test_arguments_are_shown_as_a_shell_reads_them() -> None:
    assert [shown(v) for v in ("a", "", "a b", "a\nb", 0.95, 1.0, 3)] == [
        *("a", '""', '"a b"', '"a\\nb"', "0.95", "1", "3")
    ]


def test_config_show_prints_what_is_in_effect(home: Path) -> None:
    result = run("config", "show", "--set", "osc.port=7001")
    (home / "shown.yaml").write_text(result.output)
    assert load_config("shown.yaml").osc.port == 7001
    assert run("config", "show").output == _default_text()


def test_config_show_writes_a_file_and_replaces_none_unasked(home: Path) -> None:
    own = home / "rwkv-music" / "config.yaml"
    written = run("config", "show", "--set", "osc.port=7001", "-o", str(own))
    assert written.output == f"{own}: written\n"
    assert load_config().osc.port == 7001
    again = ("config", "show", "--set", "midi.input=X", "-o", str(own))
    assert "config.yaml: is there already; --force replaces it" in str(run(*again).exception)
    assert run(*again, "--force").exit_code == 0
    assert (load_config().osc.port, load_config().midi.input) == (7001, "X")
    assert list(own.parent.iterdir()) == [own]
    below_a_file = run("config", "show", "-o", str(own / "my.yaml"))
    assert "my.yaml: cannot be written" in str(below_a_file.exception)


@pytest.mark.parametrize("named", [True, False])
def test_config_show_is_not_sent_into_the_file_that_it_reads(home: Path, named: bool) -> None:
    """A shell has emptied it before: what would be shown are the defaults."""
    own = home / "rwkv-music" / "config.yaml"
    own.parent.mkdir()
    command = [sys.executable, "-m", "rwkv_music_daemon.cli", "config", "show"]
    with own.open("w") as file:
        words = ["--config", str(own)] if named else []
        done = subprocess.run([*command, *words], stdout=file, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, own.read_text()) == (2, "")
    assert f"error: {own}: " in done.stderr
    assert "config show -o" in done.stderr


def _default_text() -> str:
    return (Path(__file__).resolve().parents[2] / "config.yaml").read_text()


def test_config_check_names_the_file_and_warns(home: Path) -> None:
    assert "defaults" in run("config", "check").output
    (home / "my.yaml").write_text("osc: {host: 0.0.0.0}")
    result = run("config", "check", "--config", "my.yaml")
    assert "warning: osc.host" in result.output
    assert result.output.endswith("my.yaml: in order\n")
    assert load_config("my.yaml") != Config()


def test_a_wrong_configuration_is_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["x", "config", "check", "--set", "midi.inptu=X"])
    with pytest.raises(SystemExit) as over:
        main()
    assert over.value.code == 2
    assert "did you mean midi.input?" in capsys.readouterr().err
