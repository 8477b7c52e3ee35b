"""Engines and peers that take turns: what is called, how often, and the figures of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from rwkv_music.engine import native
from rwkv_music.engine.base import Engine
from rwkv_music.engine.native import NativeEngine, pack
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.packed_weights import BITS
from rwkv_music.model.weights import Weights, save_weights

from .figures import spread
from .models import LARGE, packed_of
from .peers import Peer, PeerError

PREFILL, TAKES = 64, 4
CONTEXTS = (256, 2048, 8192)
_TURN_S = 0.12  # of calls that count
_LARGEST_FOR_COPIES = 500_000_000  # parameters: of our weights, and of peers at once
_LARGEST_FOR_NUMPY = _LARGEST_FOR_FLOATS = 100_000_000  # parameters: beyond, it only takes memory
_PRECISIONS = (("fp32", 32), ("bf16", 16))
_KINDS = {16: "F16", 8: "Q8_0", 4: "Q4_0"}  # llama.cpp's

Calls = Callable[[int], list[float]]  # that many calls: the seconds of each


@dataclass(slots=True)
class Contender:
    """An engine in one mode, and how long its calls took."""

    row: dict[str, Any]
    calls: Calls
    tokens: int  # of one call
    bytes_read: int | None = None
    rest: Callable[[], None] = lambda: None  # after its turn
    seconds: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        once = median(self.calls(3))
        self.seconds += self.calls(max(2, min(400, round(_TURN_S / once))))
        self.rest()

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / median(self.seconds)


def timed(call: Callable[[int], object]) -> Calls:
    """Calls of `call(i)`, each measured on its own."""

    def run(count: int) -> list[float]:
        seconds = []
        for i in range(count):
            start = perf_counter()
            call(i)
            seconds.append(perf_counter() - start)
        return seconds

    return run


def modes_of(engine: Engine, row: dict[str, Any]) -> list[Contender]:
    """Decoding, a batch of takes and prefill of one engine."""
    states = [engine.new_state() for _ in range(TAKES)]
    tokens = [i * 7919 % engine.config.vocabulary for i in range(PREFILL)]
    bytes_read = engine.bytes_per_token if isinstance(engine, NativeEngine) else None
    return [
        Contender(
            {**row, "mode": "decode", "batch": 1},
            timed(lambda i: engine.step(states[0], tokens[i % PREFILL])),
            1,
            bytes_read,
        ),
        Contender(
            {**row, "mode": "decode", "batch": TAKES},
            timed(lambda i: engine.step_batch(states, [tokens[i % PREFILL]] * TAKES)),
            TAKES,
        ),
        Contender(
            {**row, "mode": "prefill", "batch": 1},
            timed(lambda i: engine.prefill(states[0], tokens)),
            PREFILL,
        ),
    ]


def our_contenders(name: str, weights: Weights, threads: Sequence[int]) -> list[Contender]:
    """NumPy, and the native engine at each bit width and number of threads."""
    contenders = []
    parameters = weights.config.parameters
    base = {"model": name, "parameters": parameters}
    if parameters <= _LARGEST_FOR_NUMPY:
        row = {"engine": "numpy", **base, "bits": 32, "threads": 1}
        contenders += modes_of(NumpyEngine(weights), row)
    for bits in () if native.absence() else BITS:
        if bits == 32 and parameters > _LARGEST_FOR_FLOATS:
            continue
        shared = pack(weights, bits) if parameters > _LARGEST_FOR_COPIES else weights
        for count in threads:
            engine = NativeEngine(shared, bits=bits, threads=count)
            row = {"engine": "native", **base, "bits": bits, "threads": count}
            contenders += modes_of(engine, row)
    return contenders


def large_contenders(name: str, bits: Sequence[int], threads: Sequence[int]) -> list[Contender]:
    """Decoding with random weights of a size that only the native engine runs here."""
    contenders = []
    config, claimed = LARGE[name]
    for count in bits:
        packed = packed_of(config, count)
        for workers in threads:
            row = {"engine": "native", "model": name, "parameters": config.parameters}
            row |= {"bits": count, "threads": workers, "claimed_for_rtx_4090": claimed}
            contenders += modes_of(NativeEngine(packed, threads=workers), row)[:1]
    return contenders


def peer_contenders(
    name: str,
    weights: Weights,
    kinds: Sequence[str],
    folder: Path,
    stack: ExitStack,
    notes: list[str],
) -> list[Contender]:
    """One thread each: of the peers that are installed; a note for each that is not. What they
    need on disk is made in `folder` when it is not there."""
    if not kinds:
        return []
    checkpoint = folder / f"{name}-{weights.fingerprint[:8]}.safetensors"
    if not checkpoint.is_file():
        save_weights(
            checkpoint,
            weights.tensors,
            weights.config,
            weights.vocabulary_hash,
            {},
            bfloat16=True,
        )
    asked: list[tuple[tuple[object, ...], int]] = []
    if "rwkv" in kinds:
        asked += [(("rwkv_package", checkpoint, p, 1), bits) for p, bits in _PRECISIONS]
    if "llama.cpp" in kinds:
        asked += [(("llama_cpp_peer", checkpoint, kind, 1), bits) for bits, kind in _KINDS.items()]
    if "transformer" in kinds:
        contexts = ",".join(map(str, CONTEXTS))
        asked += [(("transformer", checkpoint, p, 1, contexts), bits) for p, bits in _PRECISIONS]
    contenders = []
    for arguments, bits in asked:
        try:
            peer = stack.enter_context(Peer(str(arguments[0]), *arguments[1:]))
        except PeerError as error:
            notes.append(f"{name}: no peer, {arguments[0]}, {arguments[2]}: {error}")
            continue
        row = {"engine": peer.name, "model": name, "parameters": weights.config.parameters}
        row |= {"bits": bits, "threads": 1, "batch": 1}
        modes = [("prefill", PREFILL, row | {"mode": "prefill"})]
        if arguments[0] == "transformer":
            for context in CONTEXTS:
                decoding = row | {"mode": "decode", "context": context}
                modes.append((f"step {context}", 1, decoding))
        else:
            modes.append(("step", 1, row | {"mode": "decode"}))
        for what, tokens, whole in modes:
            contenders.append(Contender(whole, partial(peer.ask, what), tokens))
        if weights.config.parameters > _LARGEST_FOR_COPIES:
            peer.rest()
            contenders[-1].rest = peer.rest
    return contenders


def memories_of(contenders: Sequence[Contender]) -> dict[tuple[int, int], Contender]:
    """The reading of so many bytes by so many threads, for each engine here."""
    if native.absence():
        return {}
    from rwkv_music.engine import _native

    sizes = {(c.bytes_read, c.row["threads"]) for c in contenders if c.bytes_read is not None}
    block = _native.Memory(max(size for size, _ in sizes))
    return {
        key: Contender({}, timed(lambda i, key=key: block.read(*key)), 0) for key in sorted(sizes)
    }


def finished(
    contender: Contender,
    memories: dict[tuple[int, int], Contender],
    contenders: Sequence[Contender],
) -> dict[str, Any]:
    """A row with its figures. A batch is compared with the peers' single takes."""
    row, seconds = contender.row, median(contender.seconds)
    share = bandwidth = None
    if contender.bytes_read is not None:
        memory = memories[contender.bytes_read, row["threads"]]
        bandwidth = contender.bytes_read / median(memory.seconds)
        share = contender.bytes_read / seconds / bandwidth

    def ratio_to(peer: str, same_bits: bool = False) -> float | None:
        others = [
            c.speed
            for c in contenders
            if c.row["engine"].startswith(peer)
            and c.row["mode"] == row["mode"]
            and (not same_bits or c.row["bits"] == row["bits"])
        ]
        return contender.speed / max(others) if others else None

    package, llama = ratio_to("rwkv package"), ratio_to("llama.cpp", same_bits=True)
    return {
        **row,
        "tokens_per_s": contender.speed,
        "call_ms": seconds * 1e3,
        "share_of_bandwidth": share,
        "ratio_to_peer": package if llama is None else llama,
        "ratio_to_rwkv_package": package,
        "ratio_to_llama_cpp_of_same_bits": llama,
        "ratio_to_transformer": ratio_to("transformer"),
        "read_gb_per_s": bandwidth / 1e9 if bandwidth else None,
        "mb_per_token": contender.bytes_read / 1e6 if contender.bytes_read else None,
        "call_ms_spread": spread([s * 1e3 for s in contender.seconds]),
    }
