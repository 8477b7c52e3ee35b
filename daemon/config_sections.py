"""The configuration: what there is to set, in frozen dataclasses, and what it is by default."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rwkv_music.music import Meter

from . import directories
from .leaders import FASTEST_BPM, SLOWEST_BPM, SOURCES
from .midi_map import MidiTrigger
from .parameters import Generation
from .settings import (
    about,
    choice,
    flag,
    host,
    meter,
    names,
    number,
    place,
    setting,
    text,
    triggers,
    whole_number,
)

APIS = ("auto", "alsa", "jack", "coremidi", "winmm")
ENGINES = ("auto", "native", "numpy", "torch", "scripted")
_PORT = text("a port name", may_be_empty=False)


@dataclass(frozen=True, slots=True)
class MidiConfig:
    """MIDI ports and the player's own commands."""

    api: str = setting(choice(*APIS), "MIDI system.", "auto")
    input: str = setting(
        _PORT, "Port to hear: made if the system can, else found by name.", "RWKV Music In"
    )
    output: str = setting(_PORT, "Port to play on, in the same way.", "RWKV Music Out")
    clock_input: str = setting(
        text("a port name, or nothing"), "Port of the MIDI clock; empty: the input's own.", ""
    )
    connect_from: tuple[str, ...] = setting(
        names, "Others' ports that the input is connected to, whenever they are there.", ()
    )
    connect_to: tuple[str, ...] = setting(
        names, "Others' ports that the output is connected to, in the same way.", ()
    )
    triggers: Mapping[str, MidiTrigger] = field(
        default_factory=dict, metadata=about(triggers, "Messages that are commands.")
    )


@dataclass(frozen=True, slots=True)
class OscConfig:
    """Where requests are received."""

    host: str = setting(
        host, "Address; any but 127.0.0.1 opens the service to the network.", "127.0.0.1"
    )
    port: int = setting(whole_number(0, 65535), "UDP port; 0 takes a free one.", 7770)


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """Who says where the bar lines are."""

    source: str = setting(choice(*SOURCES), "Clock that is followed.", "auto")
    link: bool = setting(
        flag, "Whether `auto` takes part in Ableton Link, on the local network.", False
    )
    tempo_bpm: float = setting(
        number(SLOWEST_BPM, FASTEST_BPM), "Quarters a minute until a clock says otherwise.", 120.0
    )
    meter: Meter = field(
        default_factory=Meter, metadata=about(meter, "Meter until someone says otherwise.")
    )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What makes the music."""

    path: str = setting(place, "File with the weights; empty: the embedded model.", "")
    engine: str = setting(choice(*ENGINES), "What runs the model.", "auto")
    memory: str = setting(
        text("a name, or nothing"),
        "Named memory to begin from; `pop`, `classical` and `song` come with the embedded model.",
        "",
    )


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """A web page, on this machine alone, that shows what is heard and played."""

    enabled: bool = setting(flag, "Whether it is served.", False)
    port: int = setting(whole_number(1, 65535), "TCP port on 127.0.0.1.", 7771)


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The service on this machine."""

    data_dir: str = setting(
        place,
        "Folder of what it remembers; empty: ~/.local/share/rwkv-music, on macOS"
        " ~/Library/Application Support/rwkv-music, on Windows %LOCALAPPDATA%\\rwkv-music.",
        "",
    )

    @property
    def data_path(self) -> Path:
        """The folder that `data_dir` means; it need not exist."""
        return Path(self.data_dir).expanduser() if self.data_dir else directories.data_directory()


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """What the service tells of itself."""

    level: str = setting(
        choice("debug", "info", "warning", "error"), "The least important that is told.", "info"
    )
    folder: str = setting(
        place,
        "Folder for a log of each process, 1 MB and three older ones; empty: standard error.",
        "",
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. Equal to what `config.yaml` says by default."""

    midi: MidiConfig = field(default_factory=MidiConfig)
    osc: OscConfig = field(default_factory=OscConfig)
    transport: TransportConfig = field(default_factory=TransportConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    generation: Generation = field(default_factory=Generation)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    service: ServiceConfig = field(default_factory=ServiceConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)

    def warnings(self) -> tuple[str, ...]:
        """What the user should know about settings that are allowed but dangerous."""
        warnings: list[str] = []
        if not ipaddress.ip_address(self.osc.host).is_loopback:
            warnings.append(
                f"osc.host: {self.osc.host} is not this machine alone: whoever reaches it on the"
                " network can control the service; osc.host: 127.0.0.1 keeps them out"
            )
        return tuple(warnings)
