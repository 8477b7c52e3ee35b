"""`calibrate`: how long a note takes from one port to another, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import click

from rwkv_music.errors import PortError

from ..clock import Clock, SystemClock
from ..config_sections import APIS
from ..ports.base import InputPort, MidiSystem, OutputPort
from ..ports.systems import open_system

_PITCHES = 128
_GAP_NS = 20_000_000
_LAST_WAIT_NS = 500_000_000
_POLL_NS = 500_000
_CHANNEL = 15  # the last, where nothing is likely to sound
_NOTE_ON, _NOTE_OFF = 0x90 | _CHANNEL, 0x80 | _CHANNEL


@dataclass(frozen=True, slots=True)
class Loopback:
    """Milliseconds from sending to arrival, sorted, and how many notes were sent."""

    delays_ms: tuple[float, ...]
    sent: int

    @property
    def lost(self) -> int:
        return self.sent - len(self.delays_ms)

    @property
    def median_ms(self) -> float:
        return median(self.delays_ms)

    @property
    def nudge_ms(self) -> float:
        """What lets a note arrive when it is meant to sound."""
        return -round(self.median_ms, 1)

    def percentile_ms(self, share: float) -> float:
        last = len(self.delays_ms) - 1
        return self.delays_ms[min(round(share * last), last)]


def measure(output: OutputPort, source: InputPort, clock: Clock, notes: int) -> Loopback:
    """Send so many notes, one after the other, and see when each comes back."""
    source.poll()
    sent_ns: dict[int, int] = {}
    delays_ms: list[float] = []
    next_ns = clock.now_ns() + _GAP_NS
    sent = 0
    while sent < notes or (sent_ns and clock.now_ns() < next_ns + _LAST_WAIT_NS):
        if sent < notes and clock.now_ns() >= next_ns:
            pitch = sent % _PITCHES
            clock.wait_until_ns(next_ns)
            at_ns = clock.now_ns() + 2 * output.latency_ns
            sent_ns[pitch] = at_ns
            output.send(bytes((_NOTE_ON, pitch, 1)), at_ns)
            output.send(bytes((_NOTE_OFF, pitch, 0)), at_ns)
            sent += 1
            next_ns += _GAP_NS
        for t_ns, message in source.poll():
            if len(message) == 3 and message[0] == _NOTE_ON and message[1] in sent_ns:
                delays_ms.append((t_ns - sent_ns.pop(message[1])) / 1e6)
        clock.wait_until_ns(clock.now_ns() + _POLL_NS)
    return Loopback(tuple(sorted(delays_ms)), sent)


@click.command()
@click.option("--output", "output_name", required=True, metavar="PORT", help="Port to play to.")
@click.option("--input", "input_name", required=True, metavar="PORT", help="Port it comes back on.")
@click.option(
    "--notes",
    type=click.IntRange(10, 10_000),
    default=200,
    show_default=True,
    metavar="N",
    help="How many are sent.",
)
@click.option(
    "--api", type=click.Choice(APIS), default="auto", show_default=True, help="MIDI system."
)
def command(output_name: str, input_name: str, notes: int, api: str) -> None:
    """Measure how long notes take from one port to another, and propose `nudge_ms`.

    Connect the two first: a MIDI cable from the interface's output back to its input, or a DAW
    track that passes its input on. The ports are named in full, or by any part that is unique
    enough, as `rwkv-music-daemon ports` lists them.

    Example: rwkv-music-daemon calibrate --output "USB MIDI Out" --input "USB MIDI In"
    """
    clock = SystemClock()
    system = open_system(api, clock)
    try:
        output, source = _open(system, output_name, input_name)
        try:
            click.echo(f"sending {notes} notes, about {notes * _GAP_NS // 10**9 + 1} s", err=True)
            time.sleep(0.2)  # until the connections carry messages
            found = measure(output, source, clock, notes)
        finally:
            output.close()
            source.close()
    finally:
        system.close()
    if not found.delays_ms:
        raise PortError(
            f"nothing that went to {output_name!r} came back on {input_name!r}; connect the two, "
            "and see that nothing between them filters channel 16"
        )
    for line in report(found):
        click.echo(line)


def report(found: Loopback) -> Sequence[str]:
    """The table, and what to do."""
    return (
        "notes   lost    p50 ms    p99 ms    max ms",
        f"{found.sent:5d} {found.lost:6d} {found.median_ms:9.2f} "
        f"{found.percentile_ms(0.99):9.2f} {found.delays_ms[-1]:9.2f}",
        "",
        f"proposed: generation.nudge_ms: {found.nudge_ms}",
        "If this is the whole way of a note to the ear, the notes will be on the beat with it; if",
        "it went there and back again, with half of it.",
    )


def _open(system: MidiSystem, output_name: str, input_name: str) -> tuple[OutputPort, InputPort]:
    output = system.open_output_to(_named(output_name, system.outputs()))
    try:
        return output, system.open_input_from(_named(input_name, system.inputs()))
    except PortError:
        output.close()
        raise


def _named(part: str, names: Sequence[str]) -> str:
    """The one full name that is equal to this or holds it. Raises PortError."""
    if part in names:
        return part
    fitting = [name for name in names if part in name]
    if len(fitting) == 1:
        return fitting[0]
    problem = "is not there" if not fitting else "fits several"
    listed = ", ".join(repr(name) for name in fitting or names) or "none"
    raise PortError(f"port {part!r} {problem}: {listed}; see `rwkv-music-daemon ports`")
