"""A JACK server of its own, without hardware, that always goes away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO

import jack

from .children import end_with_parent
from .jack_names import drop_broken_database, one_at_a_time, take_name

_START_S = 5.0
_ATTEMPTS = 3
_STOP_S = 1.0  # it waits longer for clients that were killed; the next of its name clears up
SETTINGS = ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER")


class JackServer:
    """`with JackServer(period=64) as server:` runs one; `server.env` leads children to it.

    It is synchronous unless told otherwise: under load an asynchronous server leaves a slow
    client's cycle out, and what was sent in it is lost; but where a client is to be killed, a
    synchronous one waits five seconds for it. `realtime` needs the right to it. Raises
    RuntimeError when it does not come up, with what it said.
    """

    def __init__(
        self, period: int = 64, rate: int = 48_000, realtime: bool = False, synchronous: bool = True
    ) -> None:
        self.period, self.rate = period, rate
        self._modes = ["-R" if realtime else "-r", *(["-S"] if synchronous else [])]
        self.name, self._name_lock = take_name()
        self.env = {**os.environ, "JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1"}
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._earlier: dict[str, str | None] = {}

    @property
    def period_ms(self) -> float:
        return 1000 * self.period / self.rate

    def __enter__(self) -> JackServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it, and lead this process to it too."""
        program = shutil.which("jackd")
        if program is None:
            raise RuntimeError("jackd is not installed: apt-get install jackd2")
        command = [program, "-n", self.name, *self._modes]
        command += ["-d", "dummy", "-r", str(self.rate), "-p", str(self.period)]
        for _ in range(_ATTEMPTS):
            with one_at_a_time():
                # Not a pipe: one that nobody reads would block the server once it is full.
                self._said = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the server
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=self._said,
                    stderr=subprocess.STDOUT,
                    preexec_fn=end_with_parent,
                )
                if self._comes_up(self._process):
                    break
                self.kill()
                drop_broken_database()
        else:
            raise RuntimeError(f"jackd did not come up; it said:\n{self.said()}")
        self._earlier = {key: os.environ.get(key) for key in SETTINGS}
        os.environ.update({key: self.env[key] for key in SETTINGS})

    def _comes_up(self, process: subprocess.Popen[bytes]) -> bool:
        ends_s = time.monotonic() + _START_S
        while process.poll() is None and time.monotonic() < ends_s:
            # Only then may it be asked: a client of a server that hangs at its start hangs too.
            if Path(f"/dev/shm/jack_{self.name}_{os.getuid()}_0").exists() and self._answers():
                return True
            time.sleep(0.02)
        return False

    def said(self) -> str:
        """What the server has written so far."""
        if self._said is None:
            return ""
        self._said.seek(0)
        return self._said.read().decode(errors="replace")

    def kill(self) -> None:
        """Let it die without a word, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it and leave nothing behind. May be called again."""
        process, self._process = self._process, None
        if process is not None:
            with one_at_a_time():
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for key, value in self._earlier.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        self._earlier = {}
        for left_over in Path("/dev/shm").glob(f"*_{self.name}*"):
            left_over.unlink(missing_ok=True)

    def ports(self, pattern: str = "") -> list[str]:
        """Full names of the ports there are."""
        client = jack.Client("rig", servername=self.name, no_start_server=True)
        try:
            return [port.name for port in client.get_ports(pattern)]
        finally:
            client.close()

    def connect(self, source: str, destination: str) -> None:
        client = jack.Client("rig", servername=self.name, no_start_server=True)
        try:
            client.connect(source, destination)
        finally:
            client.close()

    def peers(self, ending: str) -> set[str]:
        """Full names of those connected to the port that ends so; none while there is none, or two:
        the server has not done with a dead client yet."""
        client = jack.Client("rig", servername=self.name, no_start_server=True)
        try:
            ours = [port for port in client.get_ports() if port.name.endswith(ending)]
            return (
                {p.name for p in client.get_all_connections(ours[0])} if len(ours) == 1 else set()
            )
        finally:
            client.close()

    def wait_for_port(self, ending: str, timeout_s: float = 10.0) -> str:
        """The full name of the port that ends so, as soon as it is there."""
        ends_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_s:
            found = [name for name in self.ports() if name.endswith(ending)]
            if found:
                return found[0]
            time.sleep(0.05)
        raise RuntimeError(f"no port {ending!r} appeared; there are {self.ports()}")

    def close(self) -> None:
        """Stop it and give its name back."""
        self.stop()
        self._name_lock.close()

    def _answers(self) -> bool:
        try:
            jack.Client("rig", servername=self.name, no_start_server=True).close()
        except jack.JackError:
            return False
        return True


jack.set_error_function(lambda text: None)  # it says on stderr what is raised as well
jack.set_info_function(lambda text: None)
