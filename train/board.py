"""What TensorBoard shows of a run: its figures, and what the model plays, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from matplotlib.image import imread
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from .completions import complete_pieces, player_of, write_completion
from .loop import Trainer
from .pieces import Piece
from .weights import weights_of

CONTEXT_BARS, BARS = 4, 4


class Board:
    """Event files in `folder`, and below it the samples as MIDI files and pictures."""

    def __init__(self, folder: Path, pieces: Sequence[Piece], samples: int) -> None:
        self._folder = folder
        self._pieces = [piece for piece in pieces if len(piece.bars) > CONTEXT_BARS + BARS]
        self._samples = samples if self._pieces else 0
        self._writer = SummaryWriter(str(folder))

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def show(self, figures: dict[str, float]) -> None:
        """The loop's figures, each a curve over the steps."""
        step = int(figures["step"])
        for name, value in figures.items():
            if name != "step":
                self._writer.add_scalar(name, value, step)

    def draw(self, trainer: Trainer) -> None:
        """What the model makes of the beginnings of a few validation pieces."""
        if not self._samples:
            return
        step = trainer.progress.step
        player = player_of(weights_of(trainer.model))
        made = complete_pieces(
            player, self._pieces, self._samples, context_bars=CONTEXT_BARS, bars=BARS
        )
        for number, completion in enumerate(made):
            folder = self._folder / "samples" / f"{step:07d}"
            pictures = [
                imread(path)
                for path in write_completion(completion, folder, str(number))
                if path.suffix == ".png"
            ]
            self._writer.add_image(
                f"sample {number}: model, truth", _side_by_side(pictures), step, dataformats="HWC"
            )


def _side_by_side(pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Pictures [height, width, 3 or 4] next to each other, on white where one is lower."""
    height = max(picture.shape[0] for picture in pictures)
    padded = [
        np.pad(p[..., :3], ((0, height - p.shape[0]), (0, 0), (0, 0)), constant_values=1.0)
        for p in pictures
    ]
    return np.concatenate(padded, axis=1)
