"""Song positions as hosts write them."""

from __future__ import annotations

import re

from .arguments import OscError

_BBT = re.compile(r"(-?\d{1,7})\.(\d{1,3})\.(\d{1,3})", re.ASCII)


def parse_bbt(text: str) -> tuple[int, float]:
    """REAPER's "bar.beat.hundredths": the bar from 0, and the beats into it.

    The beats are those of the meter, eighths in 6/8; the text counts bars and beats from 1.
    Raises OscError 400 for another form.
    """
    match = _BBT.fullmatch(text)
    if match is None or int(match[2]) < 1:
        raise OscError(400, f'position: expected "bar.beat.hundredths" like "3.1.50", got {text!r}')
    return int(match[1]) - 1, int(match[2]) - 1 + int(match[3]) / 10 ** len(match[3])
