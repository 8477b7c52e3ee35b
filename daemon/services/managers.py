"""The service managers of the three systems: install, uninstall, status, logs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Protocol

from rwkv_music.atomic_file import replacing
from rwkv_music.errors import RwkvMusicError

from . import definitions

_FOLLOW_S = 0.5
_GONE_S = 5.0

Done = subprocess.CompletedProcess[str]
Run = Callable[[Sequence[str]], Done]


class ServiceError(RwkvMusicError):
    """The service manager is not there, or refuses."""


class Manager(Protocol):
    """One system's way. Each method raises ServiceError."""

    def definition(self, command: Sequence[str]) -> tuple[Path, str]:
        """The file that is written, and what stands in it. `command` runs the service."""
        ...

    def install(self, command: Sequence[str]) -> str:
        """Start it now and at every login; what else the user may want to do."""
        ...

    def uninstall(self) -> bool:
        """Stop it and forget it; false when it was not installed."""
        ...

    def start(self) -> None:
        """Start it, if it is installed and does not run."""
        ...

    def stop(self) -> None:
        """Stop it, if it runs; it stays installed."""
        ...

    def status(self) -> tuple[bool, str]:
        """Whether it runs, and what the manager says of it when it is installed."""
        ...

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        """The last lines that the service wrote; with `follow`, for ever those to come."""
        ...


def run(command: Sequence[str]) -> Done:
    """Run a program of the system. Raises ServiceError when it is not there."""
    try:
        # A Windows that speaks another language writes in a code page of its own.
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"{command[0]}: {error}") from error


class Systemd:
    """Linux: a unit of the user's own systemd, whose journal keeps and rotates the log."""

    def __init__(self, home: Path, run: Run = run) -> None:
        self._home = home
        self._run = run

    def definition(self, command: Sequence[str]) -> tuple[Path, str]:
        # Nothing is a log on standard error, which is what the journal has.
        return self._path, definitions.systemd_unit(_logging(command, ""))

    def install(self, command: Sequence[str]) -> str:
        self._must("show-environment")  # before anything is written: is it there at all?
        path, text = self.definition(command)
        write(path, text)
        self._must("daemon-reload")
        self._must("enable", definitions.UNIT)
        # It may wait for a MIDI system, or load a large model.
        self._must("restart", "--no-block", definitions.UNIT)
        return "without a login, from the start of the machine: loginctl enable-linger"

    def uninstall(self) -> bool:
        if not self._path.exists():
            return False
        self._must("disable", "--now", definitions.UNIT)
        self._path.unlink()
        self._must("daemon-reload")
        return True

    def start(self) -> None:
        need_installed(self._path)
        self._must("start", definitions.UNIT)

    def stop(self) -> None:
        need_installed(self._path)
        self._must("stop", definitions.UNIT)

    def status(self) -> tuple[bool, str]:
        need_installed(self._path)
        arguments = ("--no-pager", "status", definitions.UNIT)
        done = self._run(("systemctl", "--user", *arguments))
        if not done.stdout:  # it cannot even say that nothing runs
            raise _refusal(arguments, done)
        return done.returncode == 0, done.stdout.rstrip()

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        command = ["journalctl", "--user", "-u", definitions.UNIT, "-n", str(lines), "--no-pager"]
        if follow:
            command.append("--follow")
        try:
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, errors="replace"
            ) as journal:
                yield from (line.rstrip("\n") for line in journal.stdout or ())
        except OSError as error:
            raise ServiceError(f"journalctl: {error}") from error
        if journal.returncode:  # it has said why on standard error
            raise ServiceError(f"journalctl ended with code {journal.returncode}")

    @property
    def _path(self) -> Path:
        return self._home / "systemd" / "user" / definitions.UNIT

    def _must(self, *arguments: str) -> None:
        done = self._run(("systemctl", "--user", *arguments))
        if done.returncode != 0:
            raise _refusal(arguments, done)


def _refusal(arguments: Sequence[str], done: Done) -> ServiceError:
    return ServiceError(
        f"systemctl --user {' '.join(arguments)}: {done.stderr.strip()}; is this a session of a"
        " user with systemd? Otherwise start `rwkv-music-daemon run` in your own way"
    )


class Launchd:
    """macOS: an agent in the user's session."""

    def __init__(self, folder: Path, log_folder: Path, user: int, run: Run = run) -> None:
        self._path = folder / f"{definitions.AGENT}.plist"
        self._logs = log_folder
        self._domain = f"gui/{user}"
        self._run = run

    def definition(self, command: Sequence[str]) -> tuple[Path, str]:
        return self._path, definitions.launchd_agent(_logging(command, self._logs), self._logs)

    def install(self, command: Sequence[str]) -> str:
        path, text = self.definition(command)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._run(("launchctl", "bootout", f"{self._domain}/{definitions.AGENT}"))
        write(path, text)
        self._bootstrap(path)
        return f"its log is in {self._logs}"

    def uninstall(self) -> bool:
        if not self._path.exists():
            return False
        self._run(("launchctl", "bootout", f"{self._domain}/{definitions.AGENT}"))
        self._path.unlink()
        return True

    def start(self) -> None:
        need_installed(self._path)
        if not self.status()[0]:
            self.stop()  # it may be known and not run
            self._bootstrap(self._path)

    def stop(self) -> None:
        need_installed(self._path)
        self._run(("launchctl", "bootout", f"{self._domain}/{definitions.AGENT}"))

    def status(self) -> tuple[bool, str]:
        need_installed(self._path)
        done = self._run(("launchctl", "print", f"{self._domain}/{definitions.AGENT}"))
        return "state = running" in done.stdout, (done.stdout or done.stderr).rstrip()

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        return tail(self._logs, lines, follow)

    def _bootstrap(self, path: Path) -> None:
        """Again and again for a while: the one that was booted out takes its time to go."""
        ends_s = time.monotonic() + _GONE_S
        while True:
            done = self._run(("launchctl", "bootstrap", self._domain, str(path)))
            if done.returncode == 0:
                return
            if time.monotonic() > ends_s:
                raise ServiceError(f"launchctl bootstrap {path}: {done.stderr.strip()}")
            time.sleep(_FOLLOW_S)


class TaskScheduler:
    """Windows: a task that starts with the user's login."""

    def __init__(self, folder: Path, log_folder: Path, user: str, run: Run = run) -> None:
        self._path = folder / "service.xml"
        self._user = user
        self._logs = log_folder
        self._run = run

    def definition(self, command: Sequence[str]) -> tuple[Path, str]:
        return self._path, definitions.scheduled_task(_logging(command, self._logs), self._user)

    def install(self, command: Sequence[str]) -> str:
        path, text = self.definition(command)
        self._logs.mkdir(parents=True, exist_ok=True)
        write(path, text, "utf-16")
        self._must("/Create", "/F", "/TN", definitions.TASK, "/XML", str(path))
        done = self._run(("schtasks", "/End", "/TN", definitions.TASK))
        if done.returncode == 0:
            time.sleep(_GONE_S)  # its children hold the OSC port until they notice
        self._must("/Run", "/TN", definitions.TASK)
        return f"its log is in {self._logs}"

    def uninstall(self) -> bool:
        self._run(("schtasks", "/End", "/TN", definitions.TASK))
        done = self._run(("schtasks", "/Delete", "/F", "/TN", definitions.TASK))
        self._path.unlink(missing_ok=True)
        return done.returncode == 0

    def start(self) -> None:
        need_installed(self._path)
        self._must("/Run", "/TN", definitions.TASK)

    def stop(self) -> None:
        need_installed(self._path)
        if self._run(("schtasks", "/End", "/TN", definitions.TASK)).returncode == 0:
            time.sleep(_GONE_S)  # its children hold the OSC port until they notice

    def status(self) -> tuple[bool, str]:
        need_installed(self._path)
        query = f"(Get-ScheduledTask -TaskName '{definitions.TASK}').State"  # not translated
        done = self._run(("powershell", "-NoProfile", "-Command", query))
        state = (done.stdout or done.stderr).strip()
        return state == "Running", state

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        return tail(self._logs, lines, follow)

    def _must(self, *arguments: str) -> None:
        done = self._run(("schtasks", *arguments))
        if done.returncode != 0:
            raise ServiceError(f"schtasks {' '.join(arguments)}: {done.stderr.strip()}")


def _logging(command: Sequence[str], folder: Path | str) -> tuple[str, ...]:
    """The command, told to keep its logs where `logs` looks for them, whatever is configured."""
    return (*command, "--set", f"logging.folder={folder}")


def need_installed(path: Path) -> None:
    """Raises ServiceError when this definition is not there."""
    if not path.exists():
        raise ServiceError("the service is not installed: `rwkv-music-daemon service install`")


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a file as a whole or not at all. Raises ServiceError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(text, encoding=encoding)
    except OSError as error:
        raise ServiceError(f"{path}: cannot be written: {error}") from error


def tail(folder: Path, lines: int, follow: bool) -> Iterator[str]:
    """The last lines of all the logs in a folder, in the order of their times, and those to come.
    Raises ServiceError when there is none."""
    places = {path: path.stat().st_size for path in _logs_in(folder)}
    if not places:
        raise ServiceError(f"{folder}: there is no log; the service has not run yet")
    told = sorted(
        (entry for path in places for entry in _entries(path, places[path])), key=itemgetter(0)
    )
    yield from (text for _, text in told[len(told) - min(lines, len(told)) :])
    while follow:
        time.sleep(_FOLLOW_S)
        for path in _logs_in(folder):
            yield from _new_lines(path, places)


def _logs_in(folder: Path) -> list[Path]:
    return sorted((*folder.glob("*.log"), *folder.glob(definitions.AGENT_OUTPUT)))


def _new_lines(path: Path, places: dict[Path, int]) -> Iterator[str]:
    """What a log has got since; `places` is how far each has been read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            place = places.get(path, 0)
            file.seek(place if place <= size else 0)  # shorter: it was rotated
            new = file.read()
            places[path] = file.tell()
    except OSError:
        return  # it is being rotated
    yield from new.decode("utf-8", "replace").splitlines()


def _entries(path: Path, size: int) -> list[tuple[str, str]]:
    """What a log tells, with its times: an entry begins with its own, and may go on over lines that
    do not. What a program wrote that had no log yet has that of its last line."""
    lines = path.read_bytes()[:size].decode("utf-8", "replace").splitlines()
    if path.name == definitions.AGENT_OUTPUT:
        last = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))
        return [(last, line) for line in lines]
    entries: list[str] = []
    for line in lines:
        if line[:1].isdigit() or not entries:
            entries.append(line)
        else:
            entries[-1] += f"\n{line}"
    return [(entry, entry) for entry in entries]


def this_systems() -> Manager:
    """The manager of the system that this runs on. Raises ServiceError when it is not known."""
    home = Path.home()
    if sys.platform == "darwin":
        logs = home / "Library" / "Logs" / "rwkv-music"
        return Launchd(home / "Library" / "LaunchAgents", logs, os.getuid())
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "rwkv-music"
        user = f"{os.environ.get('USERDOMAIN', '')}\\{os.environ.get('USERNAME', '')}"
        return TaskScheduler(local, local / "logs", user)
    if shutil.which("systemctl") is None:
        raise ServiceError(
            "this system has no systemd; let your own service manager run `rwkv-music-daemon run`,"
            " which stays in the foreground and ends with SIGTERM"
        )
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return Systemd(config)
