"""The project's errors: one root, so that a caller can catch what is ours and nothing else.

A message says what was wrong, where, what was expected and what to do about it.
"""


class RwkvMusicError(Exception):
    """Root of every error that this project raises on purpose."""


class ConfigError(RwkvMusicError):
    """A configuration file, an override or a parameter that cannot be used."""


class TokenError(RwkvMusicError):
    """Music that has no tokens, or tokens that are no music."""


class MidiFileError(RwkvMusicError):
    """A MIDI file that cannot be read, or holds what the tokens cannot say."""


class CheckpointError(RwkvMusicError):
    """Weights that are damaged, foreign, or do not fit the tokenizer or the machine."""


class TrainingError(RwkvMusicError):
    """A run that cannot go on."""


class PortError(RwkvMusicError):
    """A MIDI port or a network port that cannot be had."""


class WorkerError(RwkvMusicError):
    """The model's process died, hung, or answered nonsense."""
