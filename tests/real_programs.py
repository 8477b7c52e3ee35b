"""What to do where a program that a test needs is missing."""

from __future__ import annotations

import os
import shutil

import pytest


def missing(reason: str) -> None:
    """Skip, or fail with RWKV_MUSIC_REAL=1, where everything is supposed to be there."""
    if os.environ.get("RWKV_MUSIC_REAL") == "1":
        pytest.fail(f"{reason}, and RWKV_MUSIC_REAL=1 says that it has to be there")
    pytest.skip(reason)


def need_program(name: str, package: str) -> None:
    if shutil.which(name) is None:
        missing(f"{name} is not installed (apt-get install {package})")
