"""Shape of an RWKV model: everything the engines need to know besides the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt

from ..errors import CheckpointError

HEAD_SIZE = 64


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """RWKV-7 (x070), with RWKV-8's `enn` as an option.

    layers L, width C (a multiple of 64), vocabulary V; rank_*: low-rank sizes D of the decay (w),
    the in-context learning rate (a), the value residual (v) and the gate (g).
    """

    layers: int
    width: int
    vocabulary: int
    rank_w: int
    rank_a: int
    rank_v: int
    rank_g: int
    enn: bool = False

    def __post_init__(self) -> None:
        sizes = {name: size for name, size in asdict(self).items() if name != "enn"}
        for name, size in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= 1 << 20:
                raise CheckpointError(f"model config: {name}: got {size!r}, expected 1 to 2^20")
        if not isinstance(self.enn, bool):
            raise CheckpointError(f"model config: enn: got {self.enn!r}, expected true or false")
        if self.width % HEAD_SIZE:
            raise CheckpointError(
                f"model config: width: got {self.width}, expected a multiple of {HEAD_SIZE}"
            )

    @classmethod
    def sized(cls, layers: int, width: int, vocabulary: int, *, enn: bool = False) -> ModelConfig:
        """A config whose ranks follow the public training code's newer formula."""

        def rank(factor: float) -> int:
            return max(32, 32 * round(factor * sqrt(width) / 32))

        return cls(layers, width, vocabulary, rank(2.5), rank(2.5), rank(1.7), rank(5.0), enn)

    @property
    def heads(self) -> int:
        return self.width // HEAD_SIZE

    @property
    def parameters(self) -> int:
        """Number of weights, those of the unused value residual of layer 0 left out."""
        c, v = self.width, self.vocabulary
        ranks = 2 * (self.rank_w + self.rank_a + self.rank_g)
        layer = 12 * c * c + 18 * c + c * ranks + (v * c if self.enn else 0)
        residual = c + 2 * c * self.rank_v
        return 2 * v * c + 4 * c + self.layers * layer + (self.layers - 1) * residual

    @property
    def state_size(self) -> int:
        """Number of float32 values in a state: for each layer H x 64 x 64 and two shifts C."""
        return self.layers * (self.heads * HEAD_SIZE * HEAD_SIZE + 2 * self.width)
