"""A stand-in for Ableton Live, in the grammar of Live 11's Python 3.7: as strict as Live where
that is known, and with nothing that Live does not have.

`installed()` puts a `Live` module into sys.modules; a `Host` is an application with one song.
"""

from __future__ import annotations

import contextlib
import sys
import types


class Changes:
    """Whether a notification is going on: then Live allows no change of the song."""

    notifying = False

    @classmethod
    def check(cls):
        if cls.notifying:
            raise RuntimeError("Changes cannot be triggered by notifications.")


class Listenable:
    """add_NAME_listener, remove_NAME_listener and NAME_has_listener, NAME one of LISTENABLE."""

    LISTENABLE = ()

    def __init__(self):
        self._listeners = {name: [] for name in self.LISTENABLE}
        for name in self.LISTENABLE:
            setattr(self, f"add_{name}_listener", self._adder(name))
            setattr(self, f"remove_{name}_listener", self._remover(name))
            setattr(self, f"{name}_has_listener", self._listeners[name].__contains__)

    def _adder(self, name):
        def add(listener):
            if listener in self._listeners[name]:
                raise RuntimeError("the listener is connected already")
            self._listeners[name].append(listener)

        return add

    def _remover(self, name):
        def remove(listener):
            if listener not in self._listeners[name]:
                raise RuntimeError("the listener is not connected")
            self._listeners[name].remove(listener)

        return remove

    def change(self, **values):
        """Set properties as the musician does, and notify as Live does."""
        for name, value in values.items():
            setattr(self, name, value)
        Changes.notifying = True
        try:
            for name in values:
                for listener in list(self._listeners.get(name, ())):
                    listener()
        finally:
            Changes.notifying = False

    @property
    def listeners(self):
        return sum(len(some) for some in self._listeners.values())


class MidiNoteSpecification:
    def __init__(self, pitch, start_time, duration, velocity=100.0, mute=False):
        self.pitch, self.start_time, self.duration = int(pitch), float(start_time), float(duration)
        self.velocity, self.mute = float(velocity), bool(mute)


class Clip:
    def __init__(self, length, is_midi=True):
        self.name = ""
        self.is_midi_clip = is_midi
        self.looping = True
        self.loop_start, self.loop_end = 0.0, float(length)
        self.start_marker, self.end_marker = 0.0, float(length)
        self.signature_numerator, self.signature_denominator = 4, 4
        self.notes = []

    @property
    def length(self):
        if self.looping:
            return self.loop_end - self.loop_start
        return self.end_marker - self.start_marker

    def add_new_notes(self, notes):
        Changes.check()
        if not isinstance(notes, tuple):
            raise TypeError("a tuple of MidiNoteSpecification is expected")
        self.notes += notes

    def get_notes_extended(self, from_pitch, pitch_span, from_time, time_span):
        return [
            note
            for note in self.notes
            if from_pitch <= note.pitch < from_pitch + pitch_span
            and from_time <= note.start_time < from_time + time_span
        ]


class ClipSlot:
    """is_gone: deleted; then it equals None, and nothing can be asked of it."""

    is_gone = False

    def __init__(self, track):
        self.canonical_parent = track
        self.clip = None

    def __eq__(self, other):
        return self is other or (other is None and self.is_gone)

    __hash__ = object.__hash__

    @property
    def has_clip(self):
        if self.is_gone:
            raise RuntimeError("the slot is gone")
        return self.clip is not None

    def create_clip(self, length):
        Changes.check()
        if self.has_clip or length <= 0:
            raise RuntimeError("the slot is taken, or the length is not positive")
        self.clip = Clip(length)


class Track(Listenable):
    LISTENABLE = ("fired_slot_index", "playing_slot_index")

    def __init__(self, slots):
        super().__init__()
        self.fired_slot_index = self.playing_slot_index = -1
        self.clip_slots = [ClipSlot(self) for _ in range(slots)]


class View:
    highlighted_clip_slot = None


class BeatTime:
    """A time in bars, the meter's beats, sixteenths and ticks, all counted from 1."""

    def __init__(self, bars, beats, sub_division, ticks):
        self.bars, self.beats, self.sub_division, self.ticks = bars, beats, sub_division, ticks


class Song(Listenable):
    """`markers` are changes of the meter: (beat, numerator, denominator), the first on beat 0."""

    LISTENABLE = ("tempo", "signature_numerator", "signature_denominator", "is_playing", "tracks")

    def __init__(self, slots=4):
        super().__init__()
        self.tempo = 120.0
        self.signature_numerator = self.signature_denominator = 4
        self.is_playing = False
        self.current_song_time = 0.0
        self.markers = []
        self.tracks = [Track(slots), Track(slots)]
        self.view = View()
        self.undo_steps = []  # the number of begins and ends, in order

    def follow_markers(self):
        """Live says which meter it has come to, if it is another."""
        passed = [marker for marker in self.markers if marker[0] <= self.current_song_time]
        if passed:
            _, numerator, denominator = passed[-1]
            if (numerator, denominator) != (self.signature_numerator, self.signature_denominator):
                self.change(signature_numerator=numerator, signature_denominator=denominator)

    def get_current_beats_song_time(self):
        bars, line = 0, 0.0
        markers = self.markers or [(0.0, self.signature_numerator, self.signature_denominator)]
        for number, (beat, numerator, denominator) in enumerate(markers):
            following = markers[number + 1 :]
            end = min([self.current_song_time] + [marker[0] for marker in following[:1]])
            bar = numerator * 4 / denominator
            line = beat + (end - beat) // bar * bar
            bars += int((end - beat) // bar)
            if not following or self.current_song_time < following[0][0]:
                break
        beats, rest = divmod(self.current_song_time - line, 4 / denominator)
        return BeatTime(bars + 1, int(beats) + 1, int(rest * 4) + 1, 1)

    def begin_undo_step(self):
        self.undo_steps.append("begin")

    def end_undo_step(self):
        self.undo_steps.append("end")

    def create_scene(self, index):
        Changes.check()
        if index != -1:
            raise ValueError("only at the end")
        for track in self.tracks:
            track.clip_slots.append(ClipSlot(track))


class Timer:
    """Called by `Host.tick`. As in Live, an exception that escapes stops it for good."""

    timers = None  # of the one Host there is

    def __init__(self, callback, interval, repeat=False, start=False):
        self._callback, self.interval, self.repeat = callback, interval, repeat
        self.running = start
        Timer.timers.append(self)

    def start(self):
        self.running = True

    def stop(self):
        self.running = False

    def fire(self):
        if self.running:
            try:
                self._callback()
            except BaseException:  # whatever it is: Live calls no more
                self.running = False
                raise


class Host:
    """What Live gives to create_instance; with what a musician sees and does."""

    def __init__(self, song=None):
        self.live_song = song or Song()
        self.shown = []
        self.log = []
        self.forwarded = set()  # (kind, channel, number)
        Timer.timers = []

    def song(self):
        return self.live_song

    def handle(self):
        return self

    def show_message(self, text):
        self.shown.append(text)

    def log_message(self, text):
        self.log.append(text)

    def request_rebuild_midi_map(self):
        raise NotImplementedError

    def tick(self):
        """A moment later."""
        for timer in list(Timer.timers):
            timer.fire()


def _forward(kind):
    def forward(handle, midi_map_handle, channel, number):
        midi_map_handle.add((kind, channel, number))

    return forward


@contextlib.contextmanager
def installed():
    """A `Live` module, for as long as it lasts."""
    live = types.ModuleType("Live")
    live.Base = types.SimpleNamespace(Timer=Timer)
    live.Clip = types.SimpleNamespace(MidiNoteSpecification=MidiNoteSpecification)
    live.MidiMap = types.SimpleNamespace(
        forward_midi_note=_forward("note"),
        forward_midi_cc=_forward("cc"),
        MapMode=types.SimpleNamespace(absolute=0),
    )
    before = sys.modules.get("Live")
    sys.modules["Live"] = live
    try:
        yield live
    finally:
        del sys.modules["Live"]
        if before is not None:
            sys.modules["Live"] = before
