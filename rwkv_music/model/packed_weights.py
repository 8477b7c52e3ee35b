"""Quantised weights on disk, as the native engine multiplies them: mapped, and used where they lie.

A safetensors file of bytes (U8), in the order in which a pass reads them. A vector is the official
tensor in float32. A matrix is NAME, packed, and for 8 and 4 bits NAME.scales. The layout is the
same for every processor (engine/csrc/packed.h). Sixteen outputs side by side are a panel, up to
four panels a strip; a strip holds, for each unit of inputs, each of its panels, each of its
outputs, four bytes. A unit is one input (float32), two (bfloat16), four (int8, as q + 128, a
float32 scale for each output) or eight (int4, as q + 8, inputs 0-3 in the low halves of the bytes,
4-7 in the high ones, a bfloat16 scale for each strip, each group of 32 inputs, each output).
Outputs are padded to 16, inputs to 32, scales to 64 bytes. Everything is little-endian.

Metadata: `format`, `bits`, `config` (JSON), `vocabulary_hash`, `facts` (JSON), and `fingerprint`,
that of the checkpoint it was made from: their states mean the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from ..tokenizer import Vocabulary
from .config import ModelConfig
from .tensor_file import Bytes, FloatArray, TensorFile, decode_bfloat16, write_tensor_file
from .weights import (
    PACKED,
    Weights,
    check_memory,
    check_vocabulary,
    load_weights,
    parse_config,
    parse_table,
    tensor_shapes,
)

FORMAT = f"{PACKED}1"
BITS = (32, 16, 8, 4)
SCALES = ".scales"
_LANES, _STRIP_PANELS, _GROUP = 16, 4, 32
_REMEDY = "quantise it again, with `rwkv-music-daemon models quantize`"


@dataclass(frozen=True, slots=True)
class PackedWeights:
    """A quantised checkpoint: blocks of bytes by name, in order."""

    config: ModelConfig
    bits: int
    blocks: Mapping[str, Bytes]
    vocabulary_hash: str
    facts: Mapping[str, Any]
    fingerprint: str
    source: str = "packed weights"

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raises CheckpointError unless the model speaks these tokens."""
        check_vocabulary(self.config, self.vocabulary_hash, vocabulary, self.source)

    def unpacked(self) -> Weights:
        """The same numbers as float32, for the other engines. Raises CheckpointError."""
        tensors = {}
        for name, shape in tensor_shapes(self.config).items():
            with np.errstate(invalid="ignore", over="ignore"):
                tensors[name] = self._tensor(name, shape)
            if not np.isfinite(tensors[name]).all():
                raise CheckpointError(
                    f"{self.source}: {name}: holds values that are no finite numbers; {_REMEDY}"
                )
        return Weights(self.config, tensors, self.vocabulary_hash, self.facts, self.source)

    def _tensor(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        block = self.blocks.get(name)
        if block is None:
            raise CheckpointError(f"{self.source}: {name} is missing; {_REMEDY}")
        if not is_matrix(name):
            if len(block) != 4 * prod(shape):
                raise CheckpointError(
                    f"{self.source}: {name}: expected {4 * prod(shape)} bytes, got"
                    f" {len(block)}; {_REMEDY}"
                )
            return block.view("<f4").astype(np.float32).reshape(shape)
        flipped = name[-1] in "12"
        outputs, inputs = shape[::-1] if flipped else shape
        try:
            rows = unpack(block, self.blocks.get(name + SCALES), outputs, inputs)
        except ValueError as error:
            raise CheckpointError(f"{self.source}: {name}: {error}; {_REMEDY}") from error
        return np.ascontiguousarray(rows.T) if flipped else rows


def is_matrix(name: str) -> bool:
    """Whether a tensor of that official name is packed: else it is kept as it is."""
    kind = name.rsplit(".", 1)[-1]
    whole = kind == "weight" and name.split(".")[-2] in (
        "receptance",
        "key",
        "value",
        "output",
        "head",
    )
    return whole or (kind[-1] in "12" and kind[0] in "wavg" and len(kind) == 2)


def save_packed(path: str | Path, packed: PackedWeights) -> None:
    """Write all or nothing. Raises CheckpointError."""
    metadata = {
        "format": FORMAT,
        "bits": str(packed.bits),
        "config": json.dumps(asdict(packed.config)),
        "vocabulary_hash": packed.vocabulary_hash,
        "facts": json.dumps(dict(packed.facts)),
        "fingerprint": packed.fingerprint,
    }
    write_tensor_file(Path(path), packed.blocks, metadata)


def load_checkpoint(path: str | Path) -> Weights | PackedWeights:
    """A checkpoint of either kind, memory-mapped. Raises CheckpointError for anything unsound."""
    file = TensorFile(Path(path))
    kind = file.metadata.get("format", "")
    if not kind.startswith(PACKED):
        return load_weights(path)
    source = str(path)
    if kind != FORMAT:
        raise CheckpointError(f"{source}: of the format {kind}, expected {FORMAT}; {_REMEDY}")
    missing = {"bits", "config", "vocabulary_hash", "fingerprint"} - set(file.metadata)
    if missing:
        raise CheckpointError(f"{source}: says nothing of {', '.join(sorted(missing))}; {_REMEDY}")
    config = parse_config(file.metadata["config"], source)
    bits = {str(number): number for number in BITS}.get(file.metadata["bits"])
    if bits is None:
        got = file.metadata["bits"]
        raise CheckpointError(f"{source}: bits: got {got!r}, expected one of {BITS}; {_REMEDY}")
    if other := [name for name, entry in file.entries.items() if entry.dtype != "U8"]:
        raise CheckpointError(f"{source}: {other[0]} holds no bytes; {_REMEDY}")
    check_memory(sum(entry.stop - entry.start for entry in file.entries.values()), source)
    return PackedWeights(
        config,
        bits,
        {name: file.block(name) for name in file.entries},
        file.metadata["vocabulary_hash"],
        parse_table(file.metadata.get("facts", "{}"), "facts", source),
        file.metadata["fingerprint"],
        source,
    )


def unpack(data: Bytes, scales: Bytes | None, outputs: int, inputs: int) -> FloatArray:
    """A packed matrix as float32 [outputs, inputs]. Raises ValueError for sizes that do not fit."""
    padded_outputs, padded_inputs = _padded(outputs, _LANES), _padded(inputs, _GROUP)
    eighths = 2 * len(data) // (padded_outputs * padded_inputs)  # half bytes for each weight
    if eighths not in (8, 4, 2, 1) or 2 * len(data) != eighths * padded_outputs * padded_inputs:
        raise ValueError(f"{len(data)} bytes hold no {outputs} by {inputs} weights")
    words = _rows(data.reshape(-1, 4), padded_outputs)  # [outputs, units, 4]
    if eighths == 8:
        rows = words.view("<f4")[..., 0].astype(np.float32)
    elif eighths == 4:
        rows = decode_bfloat16(words.view("<u2").reshape(padded_outputs, -1))
    elif eighths == 2:
        factors = _scales(scales, 4 * padded_outputs).view("<f4")
        rows = (words.reshape(padded_outputs, -1).astype(np.float32) - 128) * factors[:, None]
    else:
        halves = np.stack([words & 15, words >> 4], axis=2)
        groups = padded_inputs // _GROUP
        stored = _scales(scales, 2 * padded_outputs * groups).reshape(-1, 2)
        factors = decode_bfloat16(_rows(stored, padded_outputs).view("<u2")[..., 0])
        rows = halves.reshape(padded_outputs, groups, _GROUP).astype(np.float32) - 8
        rows = (rows * factors[..., None]).reshape(padded_outputs, -1)
    return np.ascontiguousarray(rows[:outputs, :inputs])


def _rows(items: Bytes, outputs: int) -> NDArray[np.uint8]:
    """Items [strip, unit, panel of the strip, lane, bytes], flat, as [outputs, units, bytes]."""
    units = len(items) // outputs
    panels = outputs // _LANES
    whole = panels // _STRIP_PANELS * _STRIP_PANELS
    rows = np.empty((outputs, units, items.shape[1]), np.uint8)
    for start, stop, width in ((0, whole, _STRIP_PANELS), (whole, panels, panels - whole)):
        if start == stop:
            continue
        part = items[start * _LANES * units : stop * _LANES * units]
        part = part.reshape(-1, units, width, _LANES, items.shape[1]).transpose(0, 2, 3, 1, 4)
        rows[start * _LANES : stop * _LANES] = part.reshape(-1, units, items.shape[1])
    return rows


def _scales(scales: Bytes | None, size: int) -> Bytes:
    if scales is None or len(scales) != _padded(size, 64):
        got = "none" if scales is None else f"{len(scales)}"
        raise ValueError(f"expected {_padded(size, 64)} bytes of scales, got {got}")
    return scales[:size]


def _padded(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
