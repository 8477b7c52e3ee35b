"""The safetensors container: named tensors and text metadata in one file, read by memory map.

Layout: the header's length (u64, little-endian), a JSON header, the data. Written here rather than
with the library because its NumPy door knows no bfloat16, and because a damaged file must end in
one of our errors before a byte of the data is touched.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..atomic_file import flush, replacing
from ..errors import CheckpointError

FloatArray = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_ITEM_SIZES = {"F32": 4, "BF16": 2, "F16": 2, "U8": 1}
_ALIGNMENT = 64  # of the data in files that we write: a line of the cache
_LONGEST_HEADER = 16 << 20
_REMEDY = "copy or download the file again"


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where a tensor lies: its dtype (F32, BF16, F16 or U8), shape, bytes [start, stop) of data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class TensorFile:
    """An open file: `metadata` and `entries` are checked, `read` decodes one tensor.

    Raises CheckpointError for whatever is not a whole, well-formed safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < 10:
                    self._refuse(f"expected a safetensors file, got {size} bytes", _REMEDY)
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            reason = error.strerror or error
            self._refuse(f"cannot be read ({reason})", "check model.path", error)
        (length,) = struct.unpack_from("<Q", self._map)
        if length > min(_LONGEST_HEADER, size - 8):
            self._refuse(
                f"the header claims {length} bytes of a file of {size}: truncated, or no"
                " safetensors file",
                f"{_REMEDY}; .pth files are converted with `train import`",
            )
        self._data = 8 + length
        header = self._header(self._map[8 : self._data])
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
            self._refuse("the metadata are not a table of texts", _REMEDY)
        self.metadata: dict[str, str] = metadata
        self.entries = {name: self._entry(name, entry) for name, entry in header.items()}
        self._check_extents(size - self._data)

    def read(self, name: str) -> FloatArray:
        """A tensor as float32: a read-only view of the map where it is stored so, else decoded."""
        entry = self.entries[name]
        if entry.dtype == "U8":
            self._refuse(f"{name}: stored as U8, expected F32, BF16 or F16", _REMEDY)
        count = prod(entry.shape)
        start = self._data + entry.start
        if entry.dtype == "F32":
            stored = np.frombuffer(self._map, np.dtype("<f4"), count, start)
            return stored.astype(np.float32, copy=False).reshape(entry.shape)
        if entry.dtype == "F16":
            half = np.frombuffer(self._map, np.dtype("<f2"), count, start)
            return half.astype(np.float32).reshape(entry.shape)
        bits = np.frombuffer(self._map, np.dtype("<u2"), count, start)
        return decode_bfloat16(bits).reshape(entry.shape)

    def block(self, name: str) -> Bytes:
        """A tensor's bytes as they are stored: a read-only view of the map."""
        entry = self.entries[name]
        count = entry.stop - entry.start
        return np.frombuffer(self._map, np.uint8, count, self._data + entry.start)

    def _header(self, text: bytes) -> dict[str, Any]:
        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            table = dict(pairs)
            if len(table) != len(pairs):
                raise ValueError("a name stands twice")
            return table

        try:
            header = json.loads(text, object_pairs_hook=unique)
        except (ValueError, RecursionError) as error:  # also bad UTF-8 and bad JSON
            self._refuse(f"the header is no JSON ({error})", _REMEDY, error)
        if not isinstance(header, dict):
            self._refuse("the header is no JSON object", _REMEDY)
        return header

    def _entry(self, name: str, entry: Any) -> TensorEntry:
        try:
            dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
            whole = all(type(n) is int and n >= 0 for n in (*shape, start, stop))
        except (TypeError, KeyError, ValueError) as error:
            self._refuse(f"{name}: the header's entry is damaged", _REMEDY, error)
        if not whole:
            self._refuse(f"{name}: the header's entry is damaged", _REMEDY)
        if not isinstance(dtype, str) or dtype not in _ITEM_SIZES:
            self._refuse(
                f"{name}: stored as {dtype}, expected F32, BF16, F16 or U8",
                "convert the weights with `train import`",
            )
        if stop - start != prod(shape) * _ITEM_SIZES[dtype]:
            self._refuse(f"{name}: {stop - start} bytes do not hold {dtype}{shape}", _REMEDY)
        return TensorEntry(dtype, tuple(shape), start, stop)

    def _check_extents(self, available: int) -> None:
        end = 0
        for name, entry in sorted(self.entries.items(), key=lambda item: item[1].start):
            if entry.start != end:
                self._refuse(f"{name}: its data overlap another's, or leave a hole", _REMEDY)
            end = entry.stop
        if end != available:
            self._refuse(f"expected {end} bytes of data, got {available}: truncated?", _REMEDY)

    def _refuse(self, what: str, remedy: str, cause: BaseException | None = None) -> NoReturn:
        raise CheckpointError(f"{self.path}: {what}; {remedy}") from cause


class StoredTensors(Mapping[str, FloatArray]):
    """Tensors of a file, decoded when they are asked for: so a model takes no more memory than it
    becomes."""

    def __init__(self, file: TensorFile, names: Sequence[str]) -> None:
        self._file, self._names = file, dict.fromkeys(names)

    def __getitem__(self, name: str) -> FloatArray:
        if name not in self._names:
            raise KeyError(name)
        return self._file.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_tensor_file(
    path: Path,
    tensors: Mapping[str, FloatArray] | Mapping[str, Bytes],
    metadata: Mapping[str, str],
    *,
    bfloat16: bool = False,
) -> None:
    """Write all or nothing: the file appears under its name when it is complete. Bytes are stored
    as they are, other tensors as float32 or bfloat16."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, tensor in tensors.items():
        dtype = "U8" if tensor.dtype == np.uint8 else "BF16" if bfloat16 else "F32"
        stop = offset + tensor.size * _ITEM_SIZES[dtype]
        header[name] = {
            "dtype": dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, stop],
        }
        offset = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    try:
        with replacing(path) as part:
            with part.open("xb") as file:
                file.write(struct.pack("<Q", len(text)) + text)
                for tensor in tensors.values():
                    file.write(_stored(tensor, bfloat16))
            flush(part)
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot be written ({reason})") from error


def _stored(tensor: FloatArray | Bytes, bfloat16: bool) -> bytes:
    if tensor.dtype == np.uint8:
        return tensor.tobytes()
    floats = tensor.astype("<f4", copy=False)
    return encode_bfloat16(floats).tobytes() if bfloat16 else floats.tobytes()


def decode_bfloat16(bits: NDArray[np.uint16]) -> FloatArray:
    """bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def encode_bfloat16(values: FloatArray) -> NDArray[np.uint16]:
    """Upper half of each float32, rounded to the nearest, ties to even. Expects finite values."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
