"""What of the things that the daemon needs or can use is there, and how to get the rest."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from rwkv_music.errors import ConfigError, PortError, RwkvMusicError
from rwkv_music.memory import load_memory
from rwkv_music.model import load_model

from .clock import SystemClock
from .config_sections import Config, TransportConfig
from .learned_file import LEARNED
from .link_session import link_absence
from .memories import start_memory
from .osc.client import NoAnswerError, OscClient
from .ports import jack_extension
from .ports.apis import NO_VIRTUAL_PORTS, REMEDIES, apis_here
from .ports.base import MidiSystem
from .ports.patch import is_meant
from .ports.systems import open_system, unavailable
from .record import RECORD
from .requirements import unusable_folders

_PING_S = 0.5
_OLDEST_PYTHON = (3, 11)
_PROBE_NAME = "RWKV Music Doctor"


class State(Enum):
    """How it stands with one thing."""

    OK = "ok"
    ABSENT = "absent"  # good to have
    MISSING = "missing"  # the daemon cannot do without


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: what it is, how it is, and what to do about it (empty when nothing is)."""

    state: State
    what: str
    remedy: str = ""


def examine(config: Config) -> Iterator[Finding]:
    """One finding after the other; some take a moment."""
    yield python()
    yield from midi_systems(config.midi.api)
    yield virtual_port(config)
    yield from wanted_ports(config)
    yield clock(config.transport, config.midi.clock_input or config.midi.input)
    yield osc_port(config.osc.host, config.osc.port)
    yield from model_and_memory(config)
    yield from folders(config)
    yield realtime_priority()
    yield package("link", "link", "follows Ableton Link")
    yield package("aiohttp", "monitor", "serves the web page", is_needed=config.monitor.enabled)
    yield program(
        "C++ compiler",
        ("c++", "g++", "clang++", "cl"),
        "builds the fast CPU engine",
        f"{_compiler_remedy()}, then install rwkv-music again, which builds the engine",
    )
    yield program(
        "CUDA compiler",
        ("nvcc",),
        "builds the training kernels on NVIDIA GPUs",
        "install NVIDIA's CUDA toolkit, where there is such a GPU",
    )
    yield package("matplotlib", "plot", "draws piano rolls")
    yield package("torch", "train", "trains models, and runs them on GPUs")


def python() -> Finding:
    """The interpreter."""
    what = f"Python {platform.python_version()} ({sys.executable})"
    if sys.version_info >= _OLDEST_PYTHON:
        return Finding(State.OK, what)
    return Finding(State.MISSING, what, "install Python 3.11 or newer")


def midi_systems(wanted: str) -> Iterator[Finding]:
    """Each MIDI system that this platform may have; one is needed, or the one configured."""
    reasons = {api: unavailable(api) for api in apis_here()}
    taken = next((api for api, reason in reasons.items() if reason is None), None)
    for api, reason in reasons.items():
        if reason is None:
            chosen = "; midi.api: auto takes it" if wanted == "auto" and api == taken else ""
            yield Finding(State.OK, f"MIDI system {api}{chosen}")
            if api == "jack" and jack_extension.absence:
                what = f"JACK's times: notes leave with the next period: {jack_extension.absence}"
                yield Finding(State.ABSENT, what, jack_extension.remedy)
            continue
        needed = wanted == api  # or any of them, which the ports' finding says
        remedy = REMEDIES[api]
        if api == "jack" and shutil.which("pw-jack"):
            remedy = "PipeWire is there: `pw-jack rwkv-music-daemon run --set midi.api=jack`"
        state = State.MISSING if needed else State.ABSENT
        yield Finding(state, f"MIDI system {api}: {reason}", remedy)


def virtual_port(config: Config) -> Finding:
    """Whether our ports can be had: made, or found by name where they cannot be made."""
    try:
        system = open_system(config.midi.api, SystemClock())
    except PortError:
        # Where one is configured, that is what is missing.
        state = State.MISSING if config.midi.api == "auto" else State.ABSENT
        return Finding(state, "MIDI ports: none without a MIDI system", "one of those above does")
    names = [config.midi.input, config.midi.output]
    try:
        if system.api in NO_VIRTUAL_PORTS:
            system.open_input(names[0]).close()
            system.open_output(names[1]).close()
            if config.midi.clock_input:
                system.open_input(config.midi.clock_input).close()
            return Finding(State.OK, f"MIDI ports {names[0]!r} and {names[1]!r} exist")
        return _made_port(system)
    except PortError as error:
        return Finding(State.MISSING, f"MIDI ports: {error}", "see the message")
    finally:
        system.close()


def _made_port(system: MidiSystem) -> Finding:
    port = system.open_output(_PROBE_NAME)
    seen = any(_PROBE_NAME in name for name in system.inputs())
    port.close()
    if seen:
        return Finding(State.OK, f"virtual MIDI ports can be made ({system.api})")
    return Finding(
        State.MISSING,
        f"a virtual MIDI port was made on {system.api}, and nobody can see it",
        "restart the MIDI system",
    )


def wanted_ports(config: Config) -> Iterator[Finding]:
    """Whether the keyboards and instruments are there that our ports are to be connected to."""
    sources, destinations = config.midi.connect_from, config.midi.connect_to
    if not sources and not destinations:
        return
    try:
        system = open_system(config.midi.api, SystemClock())
    except PortError:
        return  # that there is none has been said
    lines = (
        ("midi.connect_from", sources, system.inputs()),
        ("midi.connect_to", destinations, system.outputs()),
    )
    for key, names, there in lines:
        for name in names:
            found = next((port for port in there if is_meant(name, port)), None)
            if found is not None:
                yield Finding(State.OK, f"{key}: {name!r} is {found}")
                continue
            yield Finding(
                State.ABSENT,
                f"{key}: no port is called {name!r} now",
                "it is connected when it comes; `rwkv-music-daemon ports` lists what is there",
            )
    system.close()


def clock(transport: TransportConfig, clock_input: str) -> Finding:
    """Whose clock is followed, and whether it can be."""
    absence = link_absence()
    if absence and (transport.source == "link" or transport.link):
        return Finding(State.MISSING, "clock: Ableton Link is not installed", absence)
    found = {
        "midi_clock": f"clock: MIDI clock, where something sends it to {clock_input!r}",
        "osc": "clock: what a bridge in the DAW tells over OSC",
        "link": "clock: Ableton Link",
        "internal": f"clock: our own, at {transport.tempo_bpm:g} BPM",
    }
    if transport.source != "auto":
        return Finding(State.OK, found[transport.source])
    link = ", Ableton Link" if transport.link else ""
    return Finding(
        State.OK,
        f"clock: auto takes MIDI clock on {clock_input!r}, OSC{link}, or our own at"
        f" {transport.tempo_bpm:g} BPM, whichever runs",
    )


def osc_port(host: str, port: int) -> Finding:
    """Whether the daemon could have its OSC port, or has it already."""
    local = "127.0.0.1" if host == "0.0.0.0" else host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error
        else:
            return Finding(State.OK, f"OSC port {host}:{port} is free")
    try:
        with OscClient(local, port, _PING_S) as client:
            answer = client.request("/rwkv/ping", "doctor")[-1]
        return Finding(State.OK, f"OSC port {host}:{port}: the daemon runs, {answer.args[1]}")
    except (NoAnswerError, OSError):
        return Finding(
            State.MISSING,
            f"OSC port {host}:{port}: {reason}, and no daemon answers there",
            "choose another with `--set osc.port=7780`, or end what holds it",
        )


def model_and_memory(config: Config) -> Iterator[Finding]:
    """Whether the model can be loaded, and begin from the memory that is configured."""
    began_s = time.monotonic()
    loaded = None
    try:
        loaded = load_model(config.model.path, config.model.engine)
    except RwkvMusicError as error:
        yield Finding(State.MISSING, f"model: {error}", "check model.path and model.engine")
    else:
        taken_ms = 1000 * (time.monotonic() - began_s)
        yield Finding(State.OK, f"model {loaded.name}, loaded in {taken_ms:.0f} ms")
    name = config.model.memory
    try:
        path = start_memory(config)
        if path is not None and loaded is not None:
            load_memory(path, loaded)
            yield Finding(State.OK, f"memory {name!r}, to begin from: {path}")
    except ConfigError as error:
        yield Finding(State.MISSING, str(error), "choose one of those, or none")
    except RwkvMusicError as error:
        remedy = "choose another; a memory belongs to the model that it was made with"
        yield Finding(State.MISSING, f"model.memory: {name!r}: {error}", remedy)


def folders(config: Config) -> Iterator[Finding]:
    """Whether memories, what was learned and the record of who listens to us can be kept."""
    lacks = [*unusable_folders(config)]
    for lack in lacks:
        yield Finding(State.MISSING, lack.what, lack.remedy)
    data = config.service.data_path
    if not lacks:
        made = "" if data.exists() else ", which will be made"
        yield Finding(State.OK, f"folder for what it remembers: {data}{made}")
    for file in (data / LEARNED, data / RECORD.format(config.osc.port)):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            what = f"{file}: cannot be read, so it is ignored: {reason}"
            yield Finding(State.ABSENT, what, "delete it; it is written again when it is needed")


def realtime_priority() -> Finding:
    """Whether this user may run threads at real-time priority."""
    if sys.platform != "linux":
        return Finding(State.OK, "real-time priority: nothing to be set up on this system")
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return Finding(
            State.ABSENT,
            "real-time priority: refused; timing may suffer on a busy machine",
            "put `@audio - rtprio 95` into /etc/security/limits.d/audio.conf, add yourself to the "
            "group (sudo usermod -aG audio $USER) and log in again",
        )
    os.sched_setscheduler(0, *before)
    return Finding(State.OK, "real-time priority is allowed")


def _compiler_remedy() -> str:
    return {
        "darwin": "xcode-select --install",
        "win32": 'install the Build Tools for Visual Studio with "Desktop development with C++"',
    }.get(sys.platform, "install g++ (Debian, Ubuntu: sudo apt install g++; Fedora: gcc-c++)")


def program(title: str, names: tuple[str, ...], use: str, remedy: str) -> Finding:
    """A program that is good to have."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found:
        return Finding(State.OK, f"{title}: {found}")
    return Finding(State.ABSENT, f"{title}: not found; it {use}", remedy)


def package(name: str, extra: str, use: str, *, is_needed: bool = False) -> Finding:
    """A Python package that is good to have, or asked for; it is not imported."""
    if importlib.util.find_spec(name) is not None:
        return Finding(State.OK, f"{name} is installed")
    state = State.MISSING if is_needed else State.ABSENT
    return Finding(state, f"{name}: not installed; it {use}", f"pip install 'rwkv-music[{extra}]'")
