"""An event is changed while its page is open: nobody is shown an old price, name or time."""

from __future__ import annotations

import os
import re
import secrets
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Route, expect

from tests.browser.conftest import OpenShop
from tests.browser.shop import PRICE, Sale, Shop, tickets_of
from tests.harness import Soldout, serving

LOST = "Failed to load resource"
DEARER = {**PRICE, "amount": 5000}
# Keeps of each event that comes onto the page whether a pointer may press something there at once.
NOTE_NEWCOMERS = """() => {
    window.came = [];
    new MutationObserver((changes) => {
        for (const sale of changes.flatMap(({ addedNodes }) => [...addedNodes]))
            window.came.push([sale.dataset.event, sale.dataset.still]);
    }).observe(document.querySelector("#sales"), { childList: true });
}"""
COUNT_PAGES = """() => {
    const parse = DOMParser.prototype.parseFromString;
    window.pages = 0;
    DOMParser.prototype.parseFromString = function (...text) {
        window.pages += 1;
        return parse.apply(this, text);
    };
}"""


def put(service: Soldout, event: str, price: dict[str, Any] = PRICE, **more: object) -> None:
    kinds = [{"id": "general", "capacity": 20, "price": price}]
    service.put_event(event, **{"name": "The gala", "ticket_types": kinds, **more})


@pytest.fixture
def event(soldout: Soldout) -> str:
    """An event of the test's own, with 20 tickets at 25 euros."""
    name = f"gala-{secrets.token_hex(4)}"
    put(soldout, name)
    return name


def quantity_of(sale: Sale) -> Any:
    return sale.root.get_by_label("Tickets", exact=True)


def test_a_price_that_changes_is_shown_before_it_is_paid(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    sale = open_shop().live().sale(event)
    sale.root.get_by_label("E-mail").fill("ann@example.com")
    quantity_of(sale).fill("2")
    expect(sale.buy_button).to_have_text("Buy 2 tickets · €50.00")
    sale.buy_button.focus()
    put(soldout, event, DEARER)
    expect(sale.buy_button).to_have_text("Buy 2 tickets · €100.00")
    expect(sale.refusal).to_have_text("The price has changed.")
    expect(sale.root.get_by_label("E-mail")).to_have_value("ann@example.com")
    expect(sale.buy_button).to_be_focused()
    sale.buy_button.click()
    assert sale.sold() == tickets_of(soldout, event)
    [order] = soldout.admin("GET", f"/events/{event}/orders").json()["orders"]
    assert order["total"] == {"amount": 10000, "currency": "EUR"}


def test_an_opening_time_that_moves_is_counted_down_to(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    def open_in(**wait: float) -> None:
        put(soldout, event, opens_at=(datetime.now(UTC) + timedelta(**wait)).isoformat())

    open_in(minutes=30)
    sale = open_shop().live().sale(event)
    clock = sale.root.get_by_role("timer")
    expect(clock).to_have_text(re.compile("00:2[89]:.."))
    open_in(hours=2)
    expect(clock).to_have_text(re.compile("01:5[89]:.."))
    open_in(seconds=4)
    sale.says("On sale")
    sale.buy_button.click()
    sale.sold()


def test_names_limits_and_closing_times_are_taken_over_too(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    sale = open_shop().live().sale(event)
    put(soldout, event, name="The ball")
    expect(sale.root.get_by_role("heading")).to_have_text("The ball")
    put(soldout, event, name="The ball", closes_at="2099-12-31T20:00:00Z")
    expect(sale.root.locator(".face")).to_contain_text("The sale ends")
    quantity_of(sale).fill("3")
    put(soldout, event, name="The ball", max_per_order=2)
    expect(sale.cannot).to_have_text("At most 2 in one order.")
    put(soldout, event, name="The ball", max_per_buyer=1)
    expect(sale.cannot).to_have_text("At most 1 for each buyer.")
    expect(sale.root.get_by_label("E-mail")).to_have_attribute("required", "")
    expect(quantity_of(sale)).to_have_value("3")  # it was chosen
    expect(sale.refusal).to_be_empty()  # the price is what it was


def test_who_has_just_bought_keeps_the_tickets_in_sight_and_buys_more_at_the_new_price(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop().live()
    sale = shop.sale(event)
    sale.buy_button.click()
    tickets = sale.sold()
    put(soldout, event, DEARER, name="The ball")
    beside = f"beside-{secrets.token_hex(4)}"
    put(soldout, beside)
    expect(shop.sale(beside).buy_button).to_be_visible()  # the page was fetched since
    assert sale.sold() == tickets
    sale.root.get_by_role("button", name="Buy more").click()
    expect(sale.buy_button).to_have_text("Buy 1 ticket · €50.00")
    expect(sale.buy_button).to_be_focused()


def test_a_click_is_not_for_a_price_that_came_under_the_pointer_and_other_events_stay_as_they_are(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    other = f"other-{secrets.token_hex(4)}"
    put(soldout, other)
    shop = open_shop().live()
    for name in (event, other):  # a page may be older than they are, and take them over later
        expect(shop.sale(name).buy_button).to_have_text("Buy 1 ticket · €25.00")
    shop.page.evaluate(NOTE_NEWCOMERS)
    put(soldout, event, DEARER)
    expect(shop.sale(event).buy_button).to_have_text("Buy 1 ticket · €50.00")
    assert shop.page.evaluate("window.came") == [[event, "true"]]


def test_what_could_not_be_fetched_is_fetched_when_the_connection_is_back(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop().live().expecting(LOST)
    shop.page.route(f"{shop.url}/", lambda route: route.abort())
    with shop.page.expect_event("requestfailed"):
        put(soldout, event, DEARER)
    shop.page.unroute(f"{shop.url}/")
    for web in soldout.family()["web"]:
        os.kill(web, signal.SIGTERM)
    expect(shop.sale(event).buy_button).to_have_text("Buy 1 ticket · €50.00")


def test_a_page_that_comes_late_does_not_replace_a_newer_one(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop().live()
    shop.page.evaluate(COUNT_PAGES)
    late: list[tuple[Route, APIResponse]] = []

    def hold_the_first(route: Route) -> None:
        if late:
            route.continue_()
        else:
            late.append((route, route.fetch()))

    shop.page.route(f"{shop.url}/", hold_the_first)
    with shop.page.expect_request(f"{shop.url}/"):
        put(soldout, event, DEARER)
    shop.until(lambda: late, "the first page is made")
    put(soldout, event, {**PRICE, "amount": 7500})
    expect(shop.sale(event).buy_button).to_have_text("Buy 1 ticket · €75.00")
    [(route, page)] = late
    route.fulfill(response=page)
    shop.page.wait_for_function("window.pages === 2")
    expect(shop.sale(event).buy_button).to_have_text("Buy 1 ticket · €75.00")


def test_where_no_stream_is_free_prices_change_all_the_same(
    tmp_path: Path, open_shop: OpenShop
) -> None:
    with serving(tmp_path / "data", web_processes=1, streams_max=0) as service:
        put(service, "gala")
        shop: Shop = open_shop(service).expecting(LOST)
        expect(shop.sale("gala").buy_button).to_have_text("Buy 1 ticket · €25.00")
        put(service, "gala", DEARER)
        expect(shop.sale("gala").buy_button).to_have_text("Buy 1 ticket · €50.00")
