from __future__ import annotations

import builtins
import struct
from pathlib import Path
from typing import Any

import pytest

from rwkv_music.errors import RwkvMusicError
from rwkv_music.music import Bar, Meter, Note
from rwkv_music.pianoroll import MOST_BARS, draw_piano_roll

FOUR = Meter(4, 4)
BAR = Bar(FOUR, 120.0, (Note(0, 60, 90, 24), Note(24, 64, 40, 60)))
SILENCE = Bar(FOUR, 120.0)


def size_of(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


@pytest.fixture
def image(tmp_path: Path) -> Any:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    from matplotlib.image import imread

    def draw(voices: dict[str, Any], **options: Any) -> Any:
        path = tmp_path / "roll.png"
        draw_piano_roll(voices, path, **options)
        return imread(path)

    return draw


def amount_of(pixels: Any, colour: str) -> int:
    """How many pixels are clearly bluish, or reddish."""
    excess = pixels[..., 2] - pixels[..., 0]
    return int(((excess if colour == "blue" else -excess) > 0.25).sum())


def test_two_voices_have_two_colours(image: Any) -> None:
    alone = image({"You": (BAR, BAR)})
    both = image({"You": (BAR, BAR), "RWKV": (SILENCE, SILENCE, BAR)}, title="Both")
    assert amount_of(alone, "blue") > 1000
    assert amount_of(alone, "red") == 0
    assert amount_of(both, "blue") > 1000
    assert amount_of(both, "red") > 1000


def test_louder_is_darker(image: Any) -> None:
    def ink(velocity: int) -> float:
        pixels = image({"": (Bar(FOUR, 120.0, (Note(0, 60, velocity, 48),)),)})
        return float((1 - pixels[..., :3]).sum())

    assert ink(20) < ink(70) < ink(127)


def test_long_names_do_not_run_into_each_other(image: Any) -> None:
    name = "nocturne_" * 20
    drawn = image({name: (BAR,), "RWKV Music": (BAR,)}, title=name)
    head = drawn[10:60, :, 0]  # red, of the line with title and legend
    blank = "".join("01"[bool((column > 0.9).all())] for column in head.T).strip("1")
    assert "1" * 50 in blank  # there is room between the two


def test_long_music_gets_more_rows(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    heights = []
    for bars in (1, 8, 9, 33):
        path = tmp_path / f"{bars}.png"
        draw_piano_roll({"Piano": (BAR,) * bars}, path)
        heights.append(size_of(path)[1])
    assert heights[0] == heights[1] < heights[2] < heights[3]


def test_changing_meters_and_silence_can_be_drawn(image: Any) -> None:
    bars = tuple(Bar(Meter.parse(text), 90.0) for text in ("6/8", "7/8", "5/4", "12/8", "1/4"))
    assert image({"You": bars, "RWKV": ()}).size


def test_what_cannot_be_drawn_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    for count in (0, MOST_BARS + 1):
        with pytest.raises(RwkvMusicError, match=f"got {count} bars"):
            draw_piano_roll({"Piano": (SILENCE,) * count}, tmp_path / "no.png")
    importing = builtins.__import__

    def without_matplotlib(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(RwkvMusicError, match=r"pip install 'rwkv-music\[plot\]'"):
        draw_piano_roll({"Piano": (BAR,)}, tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()
