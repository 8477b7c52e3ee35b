"""The progress bar of a training run."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressLine:
    """One line on the terminal: steps, losses, tokens a second, time left."""

    def __init__(self, step: int, steps: int) -> None:
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("", total=steps, completed=step)
        self._figures: dict[str, float] = {}

    def __enter__(self) -> ProgressLine:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, figures: dict[str, float]) -> None:
        """Take the loop's newest figures."""
        self._figures |= figures
        parts = [
            f"{label} {self._figures[name]:{form}}"
            for name, label, form in (
                ("loss", "loss", ".3f"),
                ("validation_loss", "validation", ".3f"),
                ("tokens_per_s", "tokens/s", ".0f"),
            )
            if name in self._figures
        ]
        self._bar.update(self._task, completed=self._figures["step"], description=" · ".join(parts))
