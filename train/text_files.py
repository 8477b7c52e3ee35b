"""Text files that are never seen half written."""

from __future__ import annotations

from pathlib import Path

from rwkv_music.atomic_file import replacing
from rwkv_music.errors import ConfigError


def write_text(path: Path, text: str) -> None:
    """Put a file in its place in one step. Raises ConfigError."""
    try:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
