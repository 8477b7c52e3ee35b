"""The musical side of the daemon: follows the transport, keeps the bars, obeys requests. Pure.

It is told everything with its time and never asks a clock: MIDI messages, requests, the worker's
answers, and `tick` every few milliseconds. One thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from rwkv_music.music import HIGHEST_PITCH, LOWEST_PITCH, STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, steps_to_beats

from .assembler import AssembledBar, Assembler, Voice
from .messages import Failed, Forget, Generated, Message, Proposed
from .metronome import Metronome
from .osc.arguments import OscError
from .parameters import Generation, Value
from .performer import Performer, Sounds
from .scheduler import PLAYER, Pass, Release, Strike
from .transport import BarSpan, Located, Started, Stopped, Transport

_RETOLD_BARS = 16  # to a worker that has heard nothing yet
_QUIET_BARS = 4  # the clock that we started ourselves stops after so many empty bars
_LEAD_NS = 20 * NS_PER_MS  # from a trigger to the downbeat when the transport stood still
_DRUM_CHANNEL = 9

log = logging.getLogger(__name__)


class Conductor:
    """Owns the performance: what is heard, what is armed, what plays.

    to_worker and publish take messages for the model's process and events for OSC subscribers.
    """

    def __init__(
        self,
        transport: Transport,
        generation: Generation,
        sounds: Sounds,
        to_worker: Callable[[Message], None],
        publish: Callable[..., None],
        new_seed: Callable[[], int],
    ) -> None:
        self.transport = transport
        self.generation = generation
        self.assembler = Assembler()
        self.assembler.grid = generation.grid
        self.performer = Performer(transport, self.assembler, sounds, to_worker, publish)
        self._metronome = Metronome(transport)
        self.model = ""  # empty: there is none
        self.ignored: dict[str, int] = {}  # what came in and was not heard, by reason
        self._sounds = sounds
        self._to_worker = to_worker
        self._publish = publish
        self._new_seed = new_seed
        self._once: dict[str, Value] = {}
        self._request = 0
        self._span: BarSpan | None = None  # the bar that is open
        self._beat = 0.0  # where the music was at the last tick
        self._told_step = 0
        self._quiet_bars = 0
        self._self_started = False
        self._told_state = ""
        self._echoes: set[int] = set()

    # --- what is asked -------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """idle, listening, armed or playing."""
        if self.performer.playing is not None:
            return "playing"
        if self.performer.armed is not None:
            return "armed"
        return "listening" if self.transport.playing else "idle"

    def position(self, now_ns: int) -> tuple[int, float]:
        """Bar and beat, both from 0 at the transport's start."""
        beat = max(self.transport.beat_at(now_ns), 0.0)
        return self.transport.bar_at(beat).number, beat

    # --- requests ------------------------------------------------------------------------------

    def trigger(self, now_ns: int, bars: int | None = None) -> tuple[int, int]:
        """Arm a completion; its request number and the bar that it starts in.

        While one plays, the next is queued, one deep; what was armed before is replaced.
        Raises OscError 503 when there is no model.
        """
        if not self.model:
            raise OscError(503, "no model: wait for /rwkv/worker up")
        self.tick(now_ns)
        generation = self.generation
        for name, value in self._once.items():
            generation = generation.with_value(name, value)
        if bars is not None:
            generation = generation.with_value("bars", bars)
        self._once.clear()
        if self.performer.playing is None and not self.transport.playing:
            self._start_internal(now_ns + max(_LEAD_NS, self.performer.lead_ns))
            step = 0
        else:
            step = self.performer.place(generation, now_ns)
        self._request += 1
        seed = self._new_seed() if generation.seed < 0 else generation.seed
        completion = self.performer.arm(self._request, generation, seed, step)
        self._tell_state()
        start_bar = completion.first.number
        self.tick(now_ns)
        return self._request, start_bar

    def stop(self, now_ns: int) -> None:
        """End what is armed or plays, now."""
        self.performer.disarm()
        self.performer.end(self.transport.beat_at(now_ns))
        self._tell_state()

    def reset(self, now_ns: int) -> None:
        """Stop, and forget everything heard."""
        self.stop(now_ns)
        self.assembler.forget()
        self._to_worker(Forget())

    def undo(self, now_ns: int) -> None:
        """Make the state as if the last completion had not been. Raises OscError 406 when there is
        none, or when it lies too far back."""
        self.stop(now_ns)
        request = self.assembler.last_request(_RETOLD_BARS)
        if not request:
            raise OscError(406, f"no completion in the last {_RETOLD_BARS} bars to undo")
        self._to_worker(self.assembler.undo(request))
        for message in self.assembler.updates():
            self._to_worker(message)

    def set_parameter(self, name: str, value: object) -> Value:
        """Change a parameter for good; its value as it is now. Raises ParameterError."""
        self.generation = self.generation.with_value(name, value)
        self.assembler.grid = self.generation.grid
        changed = self.generation.value(name)
        self._publish(f"/rwkv/param/{name}", changed)
        return changed

    def set_once(self, name: str, value: object) -> Value:
        """Change a parameter for the next request only. Raises ParameterError."""
        self._once[name] = self.generation.with_value(name, value).value(name)
        return self._once[name]

    # --- what comes in -------------------------------------------------------------------------

    def midi(self, t_ns: int, message: bytes) -> None:
        """A channel message of the player's that is no trigger."""
        status, channel = message[0] & 0xF0, message[0] & 0x0F
        if self.generation.channel_in not in (0, channel + 1):
            self._ignore("channel")
        elif status == 0x90 and message[2]:
            if self.generation.thru:
                self._sounds.put(Strike(t_ns, PLAYER, channel, message[1], message[2]))
            self._note_on(t_ns, channel, message[1], message[2])
        elif status in (0x80, 0x90):
            if self.generation.thru:
                self._sounds.put(Release(t_ns, PLAYER, channel, message[1]))
            self._note_off(t_ns, message[1])
        elif self.generation.thru:
            self._sounds.put(Pass(t_ns, message))

    def clock(self, t_ns: int, message: bytes) -> None:
        """A system message of whoever conducts: clock, start, stop, continue, song position."""
        match message[0]:
            case 0xF8:
                self.transport.midi_tick(t_ns)
            case 0xFA:
                self.transport.midi_start(t_ns)
            case 0xFB:
                self.transport.midi_continue(t_ns)
            case 0xFC:
                self.transport.midi_stop(t_ns)
            case 0xF2:
                self.transport.midi_song_position(message[1] | message[2] << 7, t_ns)
        self.follow_transport(t_ns)

    def worker(self, message: Message, now_ns: int) -> None:
        """An answer of the model's process."""
        match message:
            case Proposed(request, bar, note):
                self.performer.take_note(request, bar, note, now_ns)
            case Generated(request, bars, notes, seed):
                self.performer.take_end(request, bars, notes, seed)
            case Failed(code, text, request):
                self.report(code, text, "")
                if self.performer.of_request(request) is not None:
                    self.stop(now_ns)

    def report(self, code: int, message: str, address: str) -> None:
        """Tell of an error that nobody is waiting for."""
        log.error("%d: %s %s", code, message, address)
        self._publish("/rwkv/error", code, message, address)

    def worker_up(self, model: str, lead_ns: int = 0) -> None:
        """A worker has come, which needs `lead_ns` for a first chord: let it hear the last bars."""
        self.model = model
        self.performer.lead_ns = lead_ns
        for message in self.assembler.recent(_RETOLD_BARS):
            self._to_worker(message)
        self._publish("/rwkv/worker", "up")

    def worker_down(self, now_ns: int) -> None:
        """The worker is gone: silence, until there is another."""
        self.model = ""
        self.stop(now_ns)
        self._publish("/rwkv/worker", "down")

    # --- time ----------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Do what is due."""
        self.performer.follow_output()
        self.transport.tick(now_ns)
        self.follow_transport(now_ns)
        if self.transport.playing:
            self._beat = self.transport.beat_at(now_ns)
            self._close_bars(now_ns)
        if self.transport.playing:
            self.performer.tick(now_ns)
            self._tell_worker()
            self._click(now_ns)
        self._tell_state()

    def follow_transport(self, now_ns: int) -> None:
        """Take in what has happened to the transport. To be called after telling it anything."""
        for change in self.transport.take_changes():
            match change:
                case Started(beat) | Located(beat):
                    self._renumber(beat, now_ns)
                case Stopped(beat):
                    self.performer.disarm()
                    self._renumber(beat, now_ns)
                    self._span, self._self_started = None, False
        self._tell_state()

    def _renumber(self, beat: float, now_ns: int) -> None:
        """The numbers of bars begin anew at `beat`: what was heard stays, what plays ends."""
        self.performer.end(self._beat)
        self.assembler.renumber(self._beat)
        for message in self.assembler.updates():
            self._to_worker(message)
        self._beat = max(beat, 0.0)
        self._span = self.transport.bar_at(self._beat)
        self._told_step = 0
        self._metronome.restart()
        self.performer.aim_again(now_ns)

    def _start_internal(self, t_ns: int) -> None:
        self.transport.start_internal(0.0, t_ns)
        self.follow_transport(t_ns)
        self._self_started, self._quiet_bars = True, 0

    def _close_bars(self, now_ns: int) -> None:
        """A bar closes half a grid step before its line: what comes later is on the line."""
        while self._span is not None:
            beat = self.transport.beat_at(now_ns)
            if beat < self._span.end_beat - self.assembler.half_grid_beats:
                return
            self.assembler.refresh(beat)
            bar = self.assembler.close(self._span, self.transport.tempo_bpm)
            self._span = self.transport.bar(self._span.number + 1)
            for message in self.assembler.updates():
                self._to_worker(message)
            self._publish("/rwkv/bar", bar.number, bar.count(Voice.PLAYER))
            self._rest(bar, now_ns)

    def _rest(self, bar: AssembledBar, now_ns: int) -> None:
        """Stop the clock that we started ourselves when nobody has played for a while."""
        busy = bar.notes or self.state in ("armed", "playing")
        self._quiet_bars = 0 if busy else self._quiet_bars + 1
        if self._self_started and self._quiet_bars >= _QUIET_BARS:
            self.transport.stop(now_ns)
            self.follow_transport(now_ns)

    def _click(self, now_ns: int) -> None:
        if self.generation.metronome:
            channel = self.generation.metronome_channel - 1
            self._sounds.put(*self._metronome.due(now_ns, channel))
        else:
            self._metronome.restart()

    def _tell_worker(self) -> None:
        """Tell what is settled: what is being struck right now may still become a chord."""
        step = int(self._beat * STEPS_PER_BEAT)
        if step >= self._told_step + STEPS_PER_BEAT:
            self._told_step = step
            self.assembler.refresh(self._beat)
        for message in self.assembler.updates(until_step=step):
            self._to_worker(message)

    def _tell_state(self) -> None:
        if self.state != self._told_state:
            self._told_state = self.state
            self._publish("/rwkv/state", self.state)

    # --- the player ----------------------------------------------------------------------------

    def _note_on(self, t_ns: int, channel: int, pitch: int, velocity: int) -> None:
        self.performer.follow_output()
        playing = self.performer.playing is not None
        if channel == _DRUM_CHANNEL:
            self._ignore("drum channel")
        elif not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            self._ignore("pitch")
        elif self.performer.is_echo(t_ns, pitch, velocity):
            self._echoes.add(pitch)
            self._ignore("echo")
        elif playing and self.generation.overlap == "ignore":
            self._ignore("overlap")
        else:
            if not self.transport.playing:
                self._start_internal(t_ns)
            self._close_bars(t_ns)
            beat = max(self.transport.beat_at(t_ns), 0.0)
            step = self.assembler.onset_step(beat, self.transport.bar_at(beat))
            span = self.transport.bar_at(steps_to_beats(step))
            self.assembler.note_on(beat, step, span, self.transport.tempo_bpm, pitch, velocity)
            if playing and self.generation.overlap == "interrupt":
                self.stop(t_ns)

    def _note_off(self, t_ns: int, pitch: int) -> None:
        if pitch in self._echoes:
            self._echoes.discard(pitch)
            return
        note = self.assembler.note_off(self.transport.beat_at(t_ns), pitch)
        if note is not None:
            beats = steps_to_beats(note.duration)
            self._publish("/rwkv/note/heard", note.beat, pitch, note.velocity, beats)

    def _ignore(self, reason: str) -> None:
        self.ignored[reason] = self.ignored.get(reason, 0) + 1
