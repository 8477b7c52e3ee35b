"""What several tests of the daemon stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from supervised_house import House


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    built = House(monkeypatch, tmp_path)
    yield built
    for child in (*built.children["io"], *built.children["worker"]):
        child.die()
