"""The connections in ALSA's sequencer, as the kernel lists them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from rwkv_music.errors import PortError

CLIENTS = Path("/proc/asound/seq/clients")

_CLIENT = re.compile(r'Client\s+(\d+) : "(.*)"')
_PORT = re.compile(r'\s+Port\s+(\d+) : "(.*)"')
_TARGETS = re.compile(r"\s+Connecting To: (.*)")
_ADDRESS = re.compile(r"(\d+):(\d+)")


def subscriptions(text: str) -> dict[str, tuple[str, ...]]:
    """The full name of each port -> those of its listeners, from the kernel's list of clients.

    A full name is written as rtmidi does: "client:port 128:0".
    """
    names: dict[str, str] = {}
    targets: dict[str, list[str]] = {}
    client, client_name, address = "", "", ""
    for line in text.splitlines():
        if found := _CLIENT.match(line):
            client, client_name = found[1], found[2]
        elif found := _PORT.match(line):
            address = f"{client}:{found[1]}"
            names[address] = f"{client_name}:{found[2]} {address}"
            targets[address] = []
        elif (found := _TARGETS.match(line)) and address:
            targets[address] = [f"{c}:{p}" for c, p in _ADDRESS.findall(found[1])]
    return {
        names[address]: tuple(names.get(target, target) for target in listening)
        for address, listening in targets.items()
    }


class AlsaGraph:
    """Reads the kernel's list; connects with the program aconnect."""

    def __init__(self, clients: Path = CLIENTS) -> None:
        self._clients = clients

    def peers(self, full_name: str) -> tuple[str, ...]:
        try:
            text = self._clients.read_text(errors="replace")
        except OSError:
            return ()
        listening = subscriptions(text)
        sources = (source for source, targets in listening.items() if full_name in targets)
        return (*listening.get(full_name, ()), *sources)

    def connect(self, source: str, destination: str) -> None:
        program = shutil.which("aconnect")
        if program is None:
            raise PortError("alsa: connecting ports needs aconnect: install alsa-utils")
        addresses = [name.rsplit(" ", 1)[-1] for name in (source, destination)]
        try:
            done = subprocess.run(
                [program, *addresses], capture_output=True, text=True, check=False, timeout=5
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PortError(f"alsa: aconnect does not answer: {error}") from error
        if done.returncode != 0 and "already" not in done.stderr:
            raise PortError(
                f"alsa: cannot connect {source!r} to {destination!r}: {done.stderr.strip()}"
            )

    def alive(self) -> bool:
        return True  # it is part of the kernel

    def period(self) -> None:
        return None

    def close(self) -> None:
        pass
