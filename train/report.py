"""Figures as tables of Markdown: on the terminal, and in a page that keeps them between marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .text_files import write_text

_WIDEST = 48  # characters to which a column is filled up


@dataclass(frozen=True, slots=True)
class Table:
    """`heads` name the columns; `about` is what a reader must know, above the table."""

    about: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """With columns that are aligned for whoever reads the text itself."""
        lines = [self.heads, *self.rows]
        widths = [min(max(map(len, c)), _WIDEST) for c in zip(*lines, strict=True)]
        rule = tuple("-" * max(width, 3) for width in widths)
        rows = [
            "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |"
            for line in (self.heads, rule, *self.rows)
        ]
        return "\n".join([self.about, "", *rows])


def text_of(tables: Sequence[Table]) -> str:
    return "\n\n".join(table.markdown() for table in tables)


def has_section(page: Path, section: str) -> bool:
    """Whether a page holds a section whole."""
    return page.exists() and f"<!-- end of {section} -->" in page.read_text(encoding="utf-8")


def put_into(page: Path, section: str, text: str) -> None:
    """Write a text into a page, in the place of what stood between the marks of that section.
    Where there is no such section, or no page, they are begun."""
    opens, closes = f"<!-- {section} -->", f"<!-- end of {section} -->"
    marked = f"{opens}\n{text}\n{closes}"
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    between = re.compile(re.escape(opens) + ".*?" + re.escape(closes), re.DOTALL)
    if between.search(before):
        after = between.sub(lambda _: marked, before, count=1)
    else:
        after = f"{before.rstrip()}\n\n{marked}\n".lstrip()
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, after)
