"""The web page: a process of its own, and to the service an OSC client like any other."""

from __future__ import annotations

import importlib.util


def monitor_absence() -> str:
    """Why there can be no page, and what to do about it; empty when there can."""
    if importlib.util.find_spec("aiohttp") is not None:
        return ""
    return "the web page needs a library: pip install 'rwkv-music[monitor]'"
