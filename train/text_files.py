"""Text files that are never seen half written."""

from __future__ import annotations

import os
from pathlib import Path

from rwkv_music.errors import ConfigError


def write_text(path: Path, text: str) -> None:
    """Put a file in its place in one step. Raises ConfigError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
