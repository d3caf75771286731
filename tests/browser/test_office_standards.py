"""What a well-made box office keeps to: small, private, readable, and steady while it changes."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from tests.browser.conftest import OpenOffice, OpenPage
from tests.browser.office import Office
from tests.browser.shop import PRICE, put_gala
from tests.browser.test_standards import (
    AA,
    AA_LARGE,
    CONTRAST,
    SCREENSHOTS,
    SIGHTS,
    TARGET_MIN_PX,
    TRANSFER_MAX_BYTES,
    photograph,
)
from tests.harness import Soldout, serving, wait_until


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    """A service in the middle of a sale, with events in several states."""
    with serving(tmp_path_factory.mktemp("house") / "data") as service:
        service.put_event("longest", name="Donaudampfschifffahrtsgesellschaft" * 4, capacity=10**8)
        service.put_event("picnic", name="Summer picnic", capacity=200)
        assert service.admin("POST", "/events/picnic/close").status_code == 200
        service.put_event("reading", name="A reading by candlelight", capacity=12)
        put_gala(service)
        for number in range(40):
            service.buy("gala", 1 + number % 8, ticket_type="standing", buyer=f"{number}@seats.org")
        for number in range(6):
            service.buy("reading", 2, buyer=f"{'very-' * 12}{number}@long-names.example.com")
        service.buy("longest", 3)
        yield service


@contextmanager
def rush(service: Soldout, event: str) -> Iterator[None]:
    """Let some buyers buy and be refused, as long as the block lasts."""
    over = threading.Event()

    def buy(quantity: int) -> None:
        session = requests.Session()
        while not over.wait(0.05):
            session.post(
                f"{service.url}/buy",
                json={"event": event, "quantity": quantity, "ticket_type": "vip"},
                headers={"Idempotency-Key": secrets.token_hex(16)},
                timeout=30,
            )
        session.close()

    buyers = [threading.Thread(target=buy, args=(quantity,)) for quantity in (1, 2, 3)]
    for buyer in buyers:
        buyer.start()
    try:
        yield
    finally:
        over.set()
        for buyer in buyers:
            buyer.join()


def test_the_box_office_is_small_and_comes_whole_from_this_host(
    house: Soldout, open_page: OpenPage
) -> None:
    office: Office = open_page(Office, house)
    office.page.wait_for_load_state("load")
    sizes = office.page.evaluate(
        """() => [performance.getEntriesByType("navigation")[0],
                  ...performance.getEntriesByType("resource")]
            .map(entry => [entry.name, entry.transferSize])"""
    )
    assert len(sizes) >= 12
    assert sum(size for _, size in sizes) < TRANSFER_MAX_BYTES / 2


def test_the_policy_is_as_strict_as_that_of_the_live_page(
    house: Soldout, open_office: OpenOffice
) -> None:
    page = requests.get(house.url + "/admin", timeout=30)
    for header in ("Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"):
        assert page.headers[header] == requests.get(house.url, timeout=30).headers[header]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert " style=" not in page.text
    assert not re.search(r" on\w+=", page.text)
    for file in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        assert requests.get(house.url + file, timeout=30).status_code == 200
    office = open_office(house).choose("gala").expecting("Content Security Policy")
    office.page.evaluate(
        """() => { const script = document.createElement("script");
                   script.textContent = "window.broken = true"; document.head.append(script); }"""
    )
    assert office.page.evaluate("window.broken") is None


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
@pytest.mark.parametrize("event", ["gala", "longest", "reading"])
def test_no_part_of_it_sticks_out(
    house: Soldout, open_office: OpenOffice, width: int, event: str
) -> None:
    office = open_office(house, viewport={"width": width, "height": 740}).choose(event)
    expect(office.orders().first).to_be_visible()
    [order] = house.admin("GET", f"/events/{event}/orders?limit=1").json()["orders"]
    expect(office.find(order["id"])).to_be_visible()
    assert office.page.evaluate("document.documentElement.scrollWidth") <= width
    assert office.page.locator("dd span").evaluate_all(CUT_OFF) == []
    if event == "gala":  # part of a row shows that there are more
        assert office.page.locator("#orders-scroll").evaluate(GOES_ON)
    boxes = office.page.locator("button:visible").evaluate_all(
        """all => all.map(e => e.getBoundingClientRect())
            .map(r => ({x: r.x, right: r.right, least: Math.min(r.width, r.height)}))"""
    )
    assert len(boxes) > 10
    assert [box for box in boxes if box["least"] < TARGET_MIN_PX] == []
    assert [box for box in boxes if box["x"] < 0 or box["right"] > width] == []
    office.page.get_by_role("button", name=re.compile("Cancel order")).first.click()
    box = office.page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(
    house: Soldout, open_office: OpenOffice, scheme: str
) -> None:
    office = open_office(house, color_scheme=scheme).choose("reading")
    [order] = house.admin("GET", "/events/reading/orders?limit=1").json()["orders"]
    expect(office.find(order["id"])).to_be_visible()
    texts = office.page.locator(
        "h1:visible, h2:visible, h3, h4, dt, dd strong, dd span:visible, th, td, .hint:visible,"
        " label:visible, input:visible, button:visible, .badge span:visible, figcaption, summary,"
        " .code, .legend > span, .left, .stamp:visible, footer a, code:visible, .id:visible"
    ).evaluate_all(f"all => all.map(e => [e.textContent, ({CONTRAST})(e)])")  # rows come and go
    assert len(texts) > 100
    assert [(text, ratio) for text, ratio in texts if ratio < AA] == []
    strokes = office.page.evaluate("""() => {
        const light = text => text.match(/[\\d.]+/g).slice(0, 3).map(c => c / 255)
            .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = light(getComputedStyle(document.querySelector(".card")).backgroundColor);
        const against = colour => (Math.max(light(colour), ground) + 0.05)
            / (Math.min(light(colour), ground) + 0.05);
        const lines = [...document.querySelectorAll(".plot .line, .plot .level")];
        const texts = [...document.querySelectorAll(".plot text")];
        return [lines.map(e => against(getComputedStyle(e).stroke)),
                texts.map(e => against(getComputedStyle(e).fill))];
    }""")
    assert strokes[0]
    assert min(strokes[0]) >= AA_LARGE
    assert min(strokes[1]) >= AA


def test_what_is_shown_has_a_name_and_a_role(house: Soldout, open_office: OpenOffice) -> None:
    office = open_office(house).choose("gala")
    page = office.page
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("region", name="The Winter Gala")).to_have_count(1)
    expect(page.get_by_role("region", name="Workers")).to_have_count(1)
    expect(page.get_by_role("img", name=re.compile("180 tickets sold from"))).to_have_count(1)
    expect(page.get_by_role("img", name=re.compile("Orders and refusals a second"))).to_have_count(
        1
    )
    expect(page.get_by_role("spinbutton", name="Capacity of balcony")).to_have_value("120")
    expect(page.get_by_role("columnheader", name="Cancel")).to_have_count(1)
    expect(page.locator("#announcer")).to_have_attribute("role", "status")
    expect(page.locator("#banner")).to_have_attribute("role", "status")
    for field in page.locator("input:visible, button:visible").all():
        expect(field).to_have_accessible_name(re.compile(r"\S"))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].filter(e => e.offsetParent)"
        ".map(e => Number(e.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


CUT_OFF = """all => all
    .filter(e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight)
    .map(e => e.textContent)"""
GOES_ON = """list => [...list.querySelectorAll("tbody tr")].map(e => e.getBoundingClientRect())
    .some(row => row.top + 8 < list.getBoundingClientRect().bottom
        && row.bottom - 8 > list.getBoundingClientRect().bottom)"""
FOUR_SECONDS = """() =>
    document.querySelector("#rush .line.sold")?.getAttribute("d").split("L").length > 4"""
PLACES = """() => [...document.querySelectorAll(
        ".card, .tile strong, .tile span, .two strong, #ticket, #ticket .bar, #switch, .plot svg,"
        + "#orders-scroll, #workers tr, footer")]
    .map(e => e.getBoundingClientRect()).map(r => [r.x, r.y, r.height].map(Math.round).join())"""


@pytest.mark.parametrize("width", [360, 1200])
def test_figures_that_change_move_nothing_else(
    tmp_path: Path, open_office: OpenOffice, width: int
) -> None:
    with serving(tmp_path / "data", web_processes=1) as service:
        kinds = [{"id": "vip", "capacity": 1_000, "price": PRICE}]
        service.put_event("gala", name="Steady", ticket_types=kinds)
        office = open_office(service, viewport={"width": width, "height": 900}).choose("gala")
        office.shows("n-sold", "0")
        before = office.page.evaluate(PLACES)
        with rush(service, "gala"):
            wait_until(lambda: len(office.orders().all()) > 10, 30, "a crowd")
            expect(office.figure("n-sold")).not_to_have_text("0")
            assert office.page.evaluate(PLACES) == before
        assert service.buy("gala", 700).status_code == 201  # the crowd had some already
        office.shows("event-sold", re.compile("[789].."))
        assert office.page.evaluate(PLACES) == before


def test_without_javascript_it_says_where_else_to_go(house: Soldout, open_page: OpenPage) -> None:
    office: Office = open_page(Office, house, java_script_enabled=False)
    expect(office.page.locator("noscript .plain")).to_contain_text("soldout --help")


@pytest.mark.parametrize(("name", "context"), SIGHTS)
def test_it_can_be_looked_at(
    house: Soldout, open_office: OpenOffice, open_page: OpenPage, name: str, context: dict[str, Any]
) -> None:
    office = open_office(house, **context).choose("gala")
    with rush(house, "gala"):
        expect(office.figure("n-refused")).not_to_have_text(re.compile(r"^[0–]$"))  # noqa: RUF001
        office.page.wait_for_function(FOUR_SECONDS)  # so that there is a line to see
        photograph(office, f"{name}-office", full_page=True)
    office.choose("reading").says("Sold out")
    expect(office.figure("curve-read")).to_contain_text("12 tickets sold")
    office.page.locator("#event").screenshot(path=SCREENSHOTS / f"{name}-office-sold-out.png")
    door: Office = open_page(Office, house, **context)
    photograph(door, f"{name}-office-door")


@pytest.mark.parametrize(("name", "context"), SIGHTS)
def test_an_empty_house_can_be_looked_at(
    tmp_path: Path, open_office: OpenOffice, name: str, context: dict[str, Any]
) -> None:
    with serving(tmp_path / "data", web_processes=1) as service:
        office = open_office(service, **context)
        expect(office.page.locator("#no-events")).to_be_visible()
        expect(office.page.locator("#event")).to_be_hidden()
        photograph(office, f"{name}-office-empty", full_page=True)
        service.put_event("gala", capacity=5)
        office.choose("gala").says("On sale")
