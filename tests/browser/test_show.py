"""`make show`, as a user starts it, and its page as a browser opens it from the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from loadtest.page import Show, milliseconds, render
from tests.loadtest import samples

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 100
PHONE = {"width": 375, "height": 800}
SEEN_AS = ("capacity", "tickets_told", "oversold", "sold_twice", "uncounted")


class Shown(NamedTuple):
    """A show that was played: what it said, and what it left."""

    said: subprocess.CompletedProcess[str]
    numbers: dict[str, Any]
    page: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("show")
    said = subprocess.run(
        [sys.executable, "-m", "loadtest", "--show", "--users", "40", "--seconds", "5"],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "SOLDOUT_LOADTEST_SEED": "7"},
        timeout=LIMIT_SECONDS,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    reports = folder / "reports"
    return Shown(said, json.loads((reports / "show.json").read_text()), reports / "show.html")


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, shown: Shown, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened from the disk; nothing may go wrong in it, nor be asked of anybody."""
    context = browser.new_context(color_scheme=request.param, offline=True)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if "file:" not in asked.url else None)
    page.goto(shown.page.as_uri())
    yield page
    context.close()
    assert [what for what in wrong if not what.startswith("data:")] == []


def texts(page: Page, selector: str) -> list[str]:
    return [found.inner_text() for found in page.locator(selector).all()]


def test_the_program_without_a_lock_is_red_and_soldout_green_from_the_same_seed(
    shown: Shown,
) -> None:
    peer, soldout = shown.numbers["runs"]
    assert (peer["server"], soldout["server"]) == ("no_lock", "soldout")
    assert (peer["passed"], soldout["passed"]) == (False, True)
    assert peer["seed"] == soldout["seed"] == 7
    assert peer["capacity"] == soldout["capacity"] == soldout["tickets_told"]
    assert peer["oversold"] == peer["tickets_told"] - peer["capacity"] > 0
    assert peer["sold_twice"] > 0
    assert peer["real"][-1][1] == -peer["oversold"]
    assert soldout["real"][-1][1] == soldout["left"] == 0
    assert f"general: {peer['tickets_told']} tickets told to buyers" in shown.said.stdout
    assert "about 20 s in all" in shown.said.stdout


def test_the_numbers_on_the_page_are_those_of_the_file(page: Page, shown: Shown) -> None:
    for index, run in enumerate(shown.numbers["runs"]):
        for field in SEEN_AS:
            assert texts(page, f'[data-run="{index}"][data-figure="{field}"]') == [
                f"{run[field]:,}"
            ]
        for field in ("p50", "p99", "p999", "slowest"):
            assert texts(page, f'[data-run="{index}"][data-latency="{field}"]') == [
                milliseconds(run["latency"][field])
            ]
        for promise in run["promises"]:
            cell = page.locator(f'td[data-run="{index}"][data-promise="{promise["name"]}"]')
            said = cell.inner_text()
            if promise["state"] in ("ok", "BREACH"):
                assert f"{promise['checked']:,} " in said
            assert ("✗ broken" in said) == (promise["state"] == "BREACH")


def test_red_and_green_are_seen(page: Page) -> None:
    colour = "element => getComputedStyle(element).color"
    red = page.locator(".wrong .stamp").evaluate(colour)
    green = page.locator(".right .stamp").evaluate(colour)
    assert red != green
    assert page.locator(".bad dd").first.evaluate(colour) == red
    assert page.locator("td.breach").first.evaluate(colour) == red
    assert page.locator("td.ok b").first.evaluate(colour) == green


def test_the_page_fits_a_phone_and_stands_side_by_side_on_a_desk(page: Page) -> None:
    page.set_viewport_size({"width": 1100, "height": 800})
    left, right = (card.bounding_box() for card in page.locator(".card").all())
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("svg").count() == 8


@pytest.mark.parametrize("width", [1100, PHONE["width"]])
def test_a_server_of_a_long_name_overlaps_nothing(browser: Browser, width: int) -> None:
    server = "http://tickets.box-office.example.com:9471"
    show = Show(
        "2026-11-26T09:00:00Z", "make it", "", {}, {server: "as it was found"}, [samples.run()]
    )
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_content(render(show).replace(">soldout</h2>", f">{server}</h2>"))
    expect(page.get_by_role("heading", name=server)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sticks_out = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
    assert page.locator("dt, dd, h2").evaluate_all(sticks_out) == []
    page.close()
