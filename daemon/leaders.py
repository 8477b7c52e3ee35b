"""Who may lead, and how fast: what the configuration, OSC and the transport agree on.

Apart from `transport/`, because a command that only asks the service something loads no transport.
"""

SOURCES = ("auto", "internal", "midi_clock", "osc", "link")
SLOWEST_BPM, FASTEST_BPM = 10.0, 999.0  # quarters a minute
