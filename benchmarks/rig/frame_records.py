"""What goes through the pipes of a frame probe: records of one size, which cost no parsing."""

from __future__ import annotations

import struct

LONGEST = 3  # bytes of a message
ORDER = struct.Struct("=qB3s")  # when to send it (monotonic ns), its length, the message
TOLD = struct.Struct("=cqqB3s")  # what it was, when, when it was due, the message's length, it
READY, SENT, HEARD, STALLED = b"r", b"s", b"h", b"x"
