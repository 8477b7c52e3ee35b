"""The control surface: what Live calls, and how the parts hang together.

It is written against the interface between Live and any surface, without Live's own Python
framework, which changes between versions.
"""

from __future__ import annotations

import time
import traceback
from typing import Any, Callable

import Live

from . import constants
from .clip_buttons import ClipButtons, command_of
from .clips import ClipError, Selection, selected, write
from .continuation import Continuation
from .controls import Controls
from .osc import Message
from .service import Service
from .settings import load
from .transport import Transport

TICK_MS = 40
_MOST_REPORTS = 20  # of mistakes of ours, in Live's log
_FOLLOWS_ANOTHER_CLOCK = 406
_GONE = "the service does not answer; start it with: rwkv-music-daemon run"


class Surface:
    """One for each time that the script is chosen in Live's settings. Live's own thread.

    No exception may escape: Live would stop the timer for good.
    """

    def __init__(self, c_instance: Any, now_s: Callable[[], float] = time.monotonic) -> None:
        self._live = c_instance
        self._now_s = now_s
        self._reports = 0
        self._mode = 0
        self._bars = constants.DEFAULT_BARS
        self._requests = 0
        self._refused = ""
        self._slot: Any = None  # selected last, of those that are no button
        self._source: Selection | None = None
        self._continuation: Continuation | None = None
        settings = load()
        self._errors = settings.errors
        for error in self._errors:
            self._live.log_message(f"RWKV Music: {error}")
            self._show(error)
        self._controls = Controls(settings.controls)
        self._service = Service(port=settings.port)
        self._transport = Transport(self._song, self._service.send)
        self._buttons = ClipButtons(self._song, lambda command: self._guard(self._press, command))
        self._timer = Live.Base.Timer(
            callback=lambda: self._guard(self._tick), interval=TICK_MS, repeat=True
        )
        self._timer.start()

    # --- called by Live ------------------------------------------------------------------------

    def disconnect(self) -> None:
        """The script is being unloaded."""
        self._timer.stop()
        for part in (self._transport.disconnect, self._buttons.disconnect, self._service.close):
            self._guard(part)

    def build_midi_map(self, midi_map_handle: Any) -> None:
        """Say which MIDI messages are ours; they reach no track."""
        forward = {
            "note": Live.MidiMap.forward_midi_note,
            "cc": Live.MidiMap.forward_midi_cc,
        }
        for control in self._controls:
            for channel in control.channels:
                forward[control.kind](self._live.handle(), midi_map_handle, channel, control.number)

    def receive_midi(self, midi_bytes: Any) -> None:
        """One of these messages has come."""
        command = self._controls.command(midi_bytes)
        if command is not None:
            self._guard(self._press, command)

    def connect_script_instances(self, instanciated_scripts: Any) -> None:
        """All scripts are there; none concerns us. The spelling is Live's."""

    def refresh_state(self) -> None:
        """Nothing is shown on a device."""

    def update_display(self) -> None:
        """Ten times a second; the timer is faster."""

    def can_lock_to_devices(self) -> bool:
        return False

    def suggest_input_port(self) -> str:
        return ""

    def suggest_output_port(self) -> str:
        return ""

    def suggest_map_mode(self, cc_no: int, channel: int) -> Any:
        return Live.MidiMap.MapMode.absolute

    # --- within --------------------------------------------------------------------------------

    @property
    def _song(self) -> Any:
        return self._live.song()

    def _guard(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except Exception:  # whatever it is, the music in Live goes on and so do we
            self._reports += 1
            if self._reports <= _MOST_REPORTS:
                self._live.log_message("RWKV Music: " + traceback.format_exc())
                self._show("something went wrong; Live's Log.txt says what")

    def _show(self, text: str) -> None:
        self._live.show_message(f"RWKV Music: {text}")

    def _tick(self) -> None:
        now_s = self._now_s()
        for message in self._service.receive(now_s):
            self._guard(self._hear, message, now_s)
        if self._service.keep(now_s):
            self._guard(self._came_or_went)
        self._guard(self._look)
        self._guard(self._transport.tick, now_s)
        if self._continuation is not None:
            self._continuation.tick(now_s)
            if self._continuation.is_over:
                self._finish(self._continuation)

    def _came_or_went(self) -> None:
        self._mode = 0  # a service that was started anew is in the first one
        if not self._service.is_there:
            self._show(_GONE)
        elif self._errors:  # said while Live loads, they are not seen
            self._show(f"connected, but {self._errors[0]}")
            self._errors = ()
        else:
            self._show("connected")
        self._transport.tell_all()

    def _look(self) -> None:
        """Remember what is selected. Live may select a clip that is launched: a button is passed
        over, so that `rwkv continue` does not mean itself."""
        slot = self._song.view.highlighted_clip_slot
        if slot is None or not slot.has_clip or command_of(slot.clip.name) is None:
            self._slot = slot

    def _press(self, command: str) -> None:
        if not self._service.is_there:
            self._show(_GONE)
        elif command == "continue_clip":
            self._continue_clip()
        elif command == "mode":
            self._mode = (self._mode + 1) % len(constants.MODES)
            self._service.send(constants.MODE, constants.MODES[self._mode])
            self._show(f"mode {constants.MODES[self._mode]}")
        else:
            address, args = constants.COMMANDS[command]
            self._service.send(address, *args)
            if address == constants.MODE:
                self._mode = constants.MODES.index(args[0])

    def _hear(self, message: Message, now_s: float) -> None:
        if self._continuation is not None and self._continuation.hear(message, now_s):
            return
        address, args = message
        if address == constants.ERROR:
            self._hear_error(*args[:3])
        elif address == constants.ACCEPTED:
            self._show(f"continues at bar {args[1] + 1}")
        elif address == constants.DONE and args[4]:
            self._show(f"{args[4]} notes were too late and left out")
        elif address == constants.PARAM_BARS:
            self._bars = args[0]

    def _hear_error(self, code: int, text: str, address: str) -> None:
        if address == constants.MODE:
            self._mode = 0
        if address.startswith("/rwkv/compose/"):
            return  # the first error about a request has ended it; the others say the same
        if address.startswith("/rwkv/transport/") and code == _FOLLOWS_ANOTHER_CLOCK:
            return  # it follows the MIDI clock, perhaps Live's own
        if address == constants.TRANSPORT_BAR:
            if text == self._refused:
                return  # a meter is told with every bar
            self._refused = text
        self._show(f"{text} ({code})")

    def _continue_clip(self) -> None:
        if self._continuation is not None:
            self._show("still at work on the last clip")
            return
        try:
            self._look()
            self._source = selected(self._song, self._slot, self._bars)
        except ClipError as error:
            self._show(str(error))
            return
        self._requests += 1
        name = f"live-{self._service.port}-{self._requests}"
        self._show(f"continuing {self._source.name or 'the clip'} by {self._bars} bars")
        self._continuation = Continuation(
            name, self._source.context, self._service.send, self._now_s()
        )

    def _finish(self, over: Continuation) -> None:
        source, self._source, self._continuation = self._source, None, None
        if over.notes is None or source is None:
            self._show(over.error or "nothing came back")
            return
        write(self._song, source, over.notes)
        self._show(f"{len(over.notes)} notes written behind {source.name or 'the clip'}")
