"""An input and an output on JACK, and nothing behind them: `python bare_ports.py [SOURCE]`.

What this process takes is what ports cost anybody. With SOURCE the input listens to that port.
It says `ready`, and ends when its standard input does.
"""

from __future__ import annotations

import sys

import rtmidi


def main() -> None:
    listener = rtmidi.MidiIn(rtapi=rtmidi.API_UNIX_JACK, name="Bare Listener")
    player = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="Bare Player")
    player.open_virtual_port("out")
    if sys.argv[1:]:
        listener.open_port(listener.get_ports().index(sys.argv[1]), "in")
    else:
        listener.open_virtual_port("in")
    print("ready", flush=True)
    sys.stdin.read()
    # A client that just vanishes can hang the server for seconds.
    player.delete()
    listener.delete()


if __name__ == "__main__":
    main()
