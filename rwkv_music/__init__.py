"""Music and numbers: bars, tokens, models and engines. No clock, no port, no socket."""

__version__ = "0.1.0"
