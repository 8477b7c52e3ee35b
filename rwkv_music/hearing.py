"""How much of a performance is heard: what the session keeps to, and whoever tells it of bars.

Apart from `session.py`, because the daemon's process of the ports needs it and loads no NumPy.
"""

MEMORY_BARS = 16  # how far back a bar can be corrected
SILENT_BARS = 2  # so many empty bars in a row are heard, and none before the first note
