"""FluidSynth as a witness: it counts the voices that really sound."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from .children import end_with_parent

_SOUND_FONTS = (
    Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
    Path("/usr/share/sounds/sf2/default-GM.sf2"),
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
)
_START_S = 20.0


def sound_font() -> Path | None:
    """The smallest sound font that is installed."""
    return next((path for path in _SOUND_FONTS if path.exists()), None)


class Synthesizer:
    """A FluidSynth on the JACK server of `env`; `port` is its MIDI input. Raises RuntimeError."""

    def __init__(self, env: Mapping[str, str]) -> None:
        program, font = shutil.which("fluidsynth"), sound_font()
        if program is None or font is None:
            raise RuntimeError(
                "FluidSynth or a sound font is missing: apt-get install fluidsynth "
                "timgm6mb-soundfont"
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            shell_port = probe.getsockname()[1]
        options = ["-o", f"shell.port={shell_port}"]
        self._process = subprocess.Popen(
            [program, "-i", "-s", "-a", "jack", "-m", "jack", *options, str(font)],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        self._shell = self._connect(shell_port)
        self.port = "fluidsynth-midi:midi_00"

    def __enter__(self) -> Synthesizer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def voices(self) -> int:
        """How many voices sound now, released ones that still ring down included."""
        self._shell.sendall(b"voice_count\n")
        said = b""
        while b"\n" not in said:
            chunk = self._shell.recv(4096)
            if not chunk:
                raise RuntimeError("FluidSynth closed its shell")
            said += chunk
        return int(said.split(b":")[-1])

    def close(self) -> None:
        self._shell.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _connect(self, shell_port: int) -> socket.socket:
        ends_s = time.monotonic() + _START_S
        while time.monotonic() < ends_s and self._process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", shell_port), timeout=5)
            except OSError:
                time.sleep(0.1)
        self._process.kill()
        raise RuntimeError("FluidSynth did not come up")
