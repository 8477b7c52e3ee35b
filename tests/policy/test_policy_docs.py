"""The pages say what there is: every file in ARCHITECTURE.md, no link that leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from source_tree import PACKAGES, ROOT, project_files, sources

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]*)(?:#([^)]*))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_SECTION = re.compile(r"^### (\w+):", re.MULTILINE)
_GROUPED = {"rwkv_music/tokenizer", "daemon/commands"}  # described together, file by file or not
PAGES = [path for path in project_files(".md") if not path.is_relative_to(ROOT / "tests")]


def architecture_of(package: str) -> str:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    sections = _SECTION.split(text)
    return sections[sections.index(package) + 1].split("\n### ")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_names_every_file(package: str) -> None:
    named = set(_CODE.findall(architecture_of(package)))
    missing = []
    for path in sources(package):
        place = path.relative_to(ROOT / package)
        folder = f"{place.parent.as_posix()}/"
        known = place.as_posix() in named or (folder in named and place.name in named)
        grouped = f"{package}/{place.parent.as_posix()}" in _GROUPED
        if not (known or grouped or path.name == "__init__.py"):
            missing.append(place.as_posix())
    assert missing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_names_no_file_that_is_not_there(package: str) -> None:
    there = {path.name for path in project_files()}
    named = {name.rpartition("/")[2] for name in _CODE.findall(architecture_of(package))}
    assert {name for name in named if name.endswith((".py", ".json"))} <= there


def places_of(page: Path) -> set[str]:
    """What may stand behind a # in a link to this page, as GitHub names its headings."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if link != ("", "")]
    ours = [(page.parent / to if to else page, place) for to, place in links if "://" not in to]
    assert [to for to, _ in ours if not to.exists()] == []
    assert [(to, place) for to, place in ours if place and place not in places_of(to)] == []
