"""The web page in a real browser, with the page's own server and the service's OSC server behind.

With RWKV_MUSIC_PICTURES=FOLDER it leaves there what it looked like.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import PROGRAMS, Browser, program
from monitor_site import Site, free_tcp_port, until
from osc_service import OscService, Reply
from real_programs import missing
from rwkv_music_daemon.monitor import monitor_absence
from rwkv_music_daemon.osc.table import Request

pytestmark = pytest.mark.skipif(monitor_absence() != "", reason=monitor_absence())
PLAYER, MODEL = (47, 111, 176), (196, 72, 47)  # colours of the page's light scheme
PHONE = 360


class Music:
    """What the service says of itself; a test changes it."""

    def __init__(self) -> None:
        place: tuple[object, ...] = (6, 25.5, 97.25, 4, 4)
        self.status = ("listening", *place, "midi_clock", "a.rwkv")

    def answer(self, request: Request) -> list[Reply]:
        if request.name == "status":
            return [("/rwkv/status", *self.status)]
        if request.name == "history":
            return [
                ("/rwkv/history/note", 16.0, 60, 80, 1.0, "player"),
                ("/rwkv/history/note", 20.0, 64, 100, 2.0, "model"),
                ("/rwkv/history/done", 2),
            ]
        if request.name == "undo":
            return [("/rwkv/error", 406, "nothing to undo", "/rwkv/undo")]
        return []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if program() is None:
        missing(f"none of {', '.join(PROGRAMS)} is installed (apt-get install {PROGRAMS[0]})")
    with Browser() as opened:
        yield opened


@pytest.fixture
def music() -> Music:
    return Music()


@pytest.fixture
def service(music: Music) -> Iterator[OscService]:
    opened = OscService(music.answer)
    yield opened
    opened.close()


@pytest.fixture
def site(service: OscService) -> Iterator[Site]:
    opened = Site(service.port, free_tcp_port())
    until(lambda: any(request.name == "history" for request in service.requests))
    yield opened
    opened.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Browser]:
    browser.complaints.clear()
    browser.open(site.url)
    browser.wait_for("document.getElementById('tempo').innerText !== '–'")
    yield browser
    assert browser.complaints == []
    browser.open("about:blank")


def keep(page: Browser, name: str) -> None:
    folder = os.environ.get("RWKV_MUSIC_PICTURES")
    if folder:
        page.picture(Path(folder) / f"{name}.png")


def has_colour(page: Browser, colour: tuple[int, int, int]) -> bool:
    """Whether the piano roll has a note of that colour, paler where it is softer."""
    data = page.run(
        "(() => { const roll = document.getElementById('roll');"
        " const all = roll.getContext('2d').getImageData(0, 0, roll.width, roll.height).data;"
        " const seen = new Set();"
        " for (let k = 0; k < all.length; k += 4) if (all[k + 3] > 80)"
        "   seen.add([all[k], all[k + 1], all[k + 2]].join());"
        " return [...seen]; })()"
    )
    seen = [tuple(map(int, text.split(","))) for text in data]
    return any(max(abs(a - b) for a, b in zip(one, colour, strict=True)) < 12 for one in seen)


def test_what_the_service_says_is_to_be_seen(page: Browser, service: OscService) -> None:
    assert page.text("h1") == "RWKV Music"
    assert page.text("#state") == "listening"
    assert page.text("#place") == "7.2"
    assert page.text("#tempo") == "97.3"
    assert page.text("#meter") == "4/4"
    assert page.text("#source") == "midi clock"
    assert page.text("#model") == "a.rwkv"
    service.server.publish("/rwkv/param/bars", 8)
    page.wait_for("document.getElementById('bars').value === '8'")
    service.server.publish("/rwkv/param/bars", 6)
    page.wait_for("document.getElementById('bars').value === '6'")
    offered = "[...document.getElementById('bars').options].map((one) => Number(one.value))"
    assert page.run(offered) == [1, 2, 4, 6, 8, 16, 32, 64]
    shown = "document.getElementById('tonality').innerText === '{}'".format
    service.server.publish("/rwkv/param/key", "Eb")
    page.wait_for(shown("Eb major"))
    service.server.publish("/rwkv/param/key", "auto")
    page.wait_for(shown("auto, free"))
    service.server.publish("/rwkv/key", 3, "D", "minor")
    page.wait_for(shown("auto, D minor"))
    service.server.publish("/rwkv/turn", "player", 2)
    page.wait_for("document.getElementById('turn').innerText === 'you, 2'")
    service.server.publish("/rwkv/done", 3, 4, 17, 1, 0, 2.345)
    page.wait_for("document.querySelectorAll('#done td').length === 6")
    assert page.text("#done tr").split() == ["3", "4", "17", "1", "0", "2.3"]
    keep(page, "listening")


def test_notes_are_drawn_as_they_come(page: Browser, service: OscService) -> None:
    page.wait_for("song.notes.length === 2")  # what was heard before the page was opened
    page.until(lambda: has_colour(page, PLAYER), "a note of the player's")
    page.until(lambda: has_colour(page, MODEL), "a note of the model's")
    page.run("song.notes = []")
    page.until(lambda: not has_colour(page, MODEL), "no note")
    service.server.publish("/rwkv/note/played", 1, 24.0, 67, 127, 1.0)
    page.until(lambda: has_colour(page, MODEL), "a note of the model's")
    assert not has_colour(page, PLAYER)


def test_every_button_is_a_request(page: Browser, service: OscService) -> None:
    wanted = page.run(
        "[...document.querySelectorAll('[data-ask]')].map((button) => button.dataset.ask)"
    )
    assert len(wanted) == 8
    for address in wanted:
        page.click(f"[data-ask='{address}']")
        name = address.removeprefix("/rwkv/")
        until(lambda name=name: any(request.name == name for request in service.requests))
    page.run("const bars = document.getElementById('bars'); bars.value = 16;")
    page.run("document.getElementById('bars').dispatchEvent(new Event('change'))")
    until(lambda: any(r.args == ("bars", 16) for r in service.requests))


def test_the_keyboard_reaches_the_buttons(page: Browser, service: OscService) -> None:
    page.press("Tab")
    assert page.run("document.activeElement.id") == "trigger"
    page.press("Enter", "\r")
    until(lambda: any(request.name == "trigger" for request in service.requests))


def test_an_error_is_shown_until_the_next_wish(page: Browser) -> None:
    page.click("[data-ask='/rwkv/undo']")
    page.wait_for("document.getElementById('error').innerText.includes('nothing to undo')")
    keep(page, "error")
    page.click("[data-ask='/rwkv/stop']")
    page.wait_for("document.getElementById('error').innerText === ''")


def test_playing_looks_like_playing(page: Browser, music: Music, service: OscService) -> None:
    music.status = ("playing", 9, 28.0, 120.0, 3, 4, "internal", "a.rwkv")
    page.wait_for("document.getElementById('state').innerText === 'playing'")
    assert page.text("#trigger") == "Trigger next"
    for k in range(24):
        service.server.publish("/rwkv/note/played", 1, 18 + k / 2, 60 + k * 7 % 17, 60 + 2 * k, 0.5)
    page.wait_for("song.notes.length > 20")
    keep(page, "playing")


def test_bars_are_where_they_are_in_a_song_of_several_meters(page: Browser, music: Music) -> None:
    """Four bars of 4/4, two of 3/4, then 6/8: told a little after each line, as it happens."""
    told = [(3, 15.8, 4, 4), (4, 16.1, 3, 4), (4, 17.4, 3, 4), (5, 19.2, 3, 4), (6, 22.1, 6, 8)]
    for bar, beat, numerator, denominator in [(3, 12.0, 4, 4), *told, (6, 24.2, 6, 8)]:
        music.status = ("listening", bar, beat, 60.0, numerator, denominator, "osc", "a.rwkv")
        page.wait_for(f"Math.abs(song.beat - {beat}) < 0.001")
    assert page.text("#place") == "7.5"
    lines = "[...bars_between(8, 30)].map(({ number, line }) => [number, line])"
    assert page.run(lines) == [[2, 8], [3, 12], [4, 16], [5, 19], [6, 22], [7, 25], [8, 28]]


def test_a_service_that_goes_is_said_and_comes_back(
    page: Browser, service: OscService, site: Site
) -> None:
    service.silent = True
    page.wait_for("document.getElementById('state').innerText === 'no service'")
    keep(page, "gone")
    service.silent = False
    page.wait_for("document.getElementById('state').innerText === 'listening'")


def test_a_monitor_that_goes_is_said(page: Browser, site: Site) -> None:
    site.close()
    page.wait_for("document.getElementById('state').innerText === 'no monitor'")
    page.complaints.clear()  # the browser says itself that nobody answers


@pytest.mark.parametrize("width", [PHONE, 768, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_every_window(page: Browser, site: Site, width: int, dark: bool) -> None:
    page.open(site.url, width=width, dark=dark)
    page.wait_for("document.getElementById('tempo').innerText !== '–'")
    page.wait_for("song.notes.length === 2")
    keep(page, f"{width}{'-dark' if dark else ''}")
    assert page.run("document.documentElement.scrollWidth") <= width
    outside = page.run(
        "[...document.querySelectorAll('button, dd, h1, select')]"
        ".filter((one) => one.getBoundingClientRect().right > innerWidth).length"
    )
    assert outside == 0
