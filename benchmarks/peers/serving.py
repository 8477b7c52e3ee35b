"""The other end of client.Peer: a process that answers how long its calls took."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import TextIO

PREFILL = 64


def claim_output() -> TextIO:
    """The channel of the answers: what else is printed goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    return answers


def serve(
    answers: TextIO, name: str, vocabulary: int, call: Callable[[list[int], str], object]
) -> None:
    """Say the name, then answer every [what, count] with the seconds of each `call(tokens, what)`:
    `prefill` hears PREFILL tokens at once, everything else one."""
    print(json.dumps({"name": name}), file=answers, flush=True)
    token = 0
    for line in sys.stdin:
        what, count = json.loads(line)
        seconds = []
        for _ in range(count):
            token = (token + 7919) % vocabulary
            length = PREFILL if what == "prefill" else 1
            tokens = [(token + i) % vocabulary for i in range(length)]
            start = perf_counter()
            call(tokens, what)
            seconds.append(perf_counter() - start)
        print(json.dumps(seconds), file=answers, flush=True)
