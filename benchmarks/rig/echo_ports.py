"""An input and an output on JACK, and what comes in goes out in the same period, at the same frame:
`python echo_ports.py NAME`.

What a message takes through this process it takes through any cables there and back. It says
`ready`, and ends when its standard input does.
"""

from __future__ import annotations

import gc
import sys

import jack


def main() -> None:
    client = jack.Client(sys.argv[1], no_start_server=True)
    source = client.midi_inports.register("in")
    target = client.midi_outports.register("out")

    @client.set_process_callback
    def process(frames: int) -> None:
        target.clear_buffer()
        for offset, data in source.incoming_midi_events():
            target.write_midi_event(offset, bytes(data))

    gc.disable()
    with client:  # activates it
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    jack.set_error_function(lambda text: None)
    main()
