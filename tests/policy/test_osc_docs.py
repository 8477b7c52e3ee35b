"""What is written about OSC is what the table says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rwkv_music_daemon.osc import document
from rwkv_music_daemon.osc.announcements import SENT
from rwkv_music_daemon.osc.requests import REQUESTS
from rwkv_music_daemon.parameters import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
_ADDRESS = re.compile(r"/rwkv(?:/[a-zA-Z_]+)+")
_NOWHERE = {"/rwkv/nonsense"}  # asked for on purpose, to be refused
_SOURCES = {".py", ".md", ".lua", ".pd", ".ReaperOSC", ".json", ".yaml", ".js", ".html"}


def known_addresses() -> set[str]:
    names = [*PARAMETERS, "NAME"]
    verbs = {f"/rwkv/{verb}/{name}" for verb in ("set", "once", "get", "param") for name in names}
    return {*REQUESTS, *SENT} | verbs


def test_the_docs_are_the_tables() -> None:
    assert (ROOT / "docs" / "osc.md").read_text(encoding="utf-8") == document.markdown()


def test_the_bridges_constants_are_the_tables() -> None:
    text = (ROOT / "bridge_scripts" / "constants.json").read_text(encoding="utf-8")
    assert text == document.constants()
    table = json.loads(text)
    assert set(table["requests"]) == set(REQUESTS)
    assert set(table["replies"]) | set(table["events"]) == set(SENT)


def test_no_page_or_script_names_an_address_that_does_not_exist() -> None:
    known = known_addresses()
    prefixes = {address.rpartition("/")[0] for address in known}
    strange = {
        f"{path.relative_to(ROOT)}: {address}"
        for folder in ("daemon", "docs", "bridge_scripts", "benchmarks", "rwkv_music")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in _SOURCES and "__pycache__" not in path.parts
        for address in _ADDRESS.findall(path.read_text(encoding="utf-8"))
        if address not in known | _NOWHERE and address not in prefixes
    }
    assert not strange
