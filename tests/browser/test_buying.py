"""Buying on the live page: whatever an impatient buyer does, one purchase is one order."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import OpenShop
from tests.browser.shop import Shop, check_bought_once, sell, tickets_of
from tests.faults.stopping import standing_still
from tests.harness import Soldout

LOST = "Failed to load resource"
OLD_MS = 6 * 60_000


def test_one_click_buys_and_shows_the_ticket(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop().live()
    sale = shop.sale(event)
    sale.buy_button.click()
    assert sale.sold() == tickets_of(soldout, event)
    expect(sale.done.locator(".title")).to_be_focused()
    sale.left(19)
    expect(shop.orders).to_have_count(1)
    assert shop.purchases_kept() == 0
    check_bought_once(soldout, event)


PHONE = {"viewport": {"width": 375, "height": 812}}
DESK = {"viewport": {"width": 1280, "height": 800}}


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize(("clicks", "apart_ms"), [(2, 120), (3, 120), (4, 250), (3, 1_000)])
def test_who_clicks_several_times_buys_once_and_sees_the_ticket(
    soldout: Soldout,
    event: str,
    open_shop: OpenShop,
    screen: dict[str, Any],
    clicks: int,
    apart_ms: int,
) -> None:
    """What comes under the pointer meanwhile is not pressed, and its words are not marked."""
    shop = open_shop(**screen)
    sale = shop.sale(event)
    click_there(shop, sale.buy_button, clicks, apart_ms)
    assert sale.sold() == tickets_of(soldout, event)
    expect(sale.done.locator(".title")).to_be_focused()
    expect(shop.orders).to_have_count(1)
    assert shop.page.evaluate("getSelection().toString()") == ""
    assert shop.purchases_kept() == 0
    check_bought_once(soldout, event)


@pytest.mark.parametrize("apart_ms", [120, 1_000])
def test_who_clicks_twice_to_buy_more_does_not_buy_yet(
    soldout: Soldout, event: str, open_shop: OpenShop, apart_ms: int
) -> None:
    shop = open_shop()
    sale = shop.sale(event)
    sale.buy_button.click()
    sale.sold()
    more = sale.root.get_by_role("button", name="Buy more")
    more.click(trial=True)  # it can be pressed by now
    click_there(shop, more, 3, apart_ms)
    expect(sale.buy_button).to_be_focused()
    assert shop.purchases_kept() == 0
    check_bought_once(soldout, event)


def click_there(shop: Shop, button: Locator, clicks: int, apart_ms: int) -> None:
    """Click where a button is, so many times, as a mouse does: whatever is there by then."""
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box
    mouse = shop.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for number in range(1, clicks + 1):
        if number > 1:
            shop.page.wait_for_timeout(apart_ms)
        mouse.down(click_count=number)
        mouse.up(click_count=number)


def test_who_wants_more_buys_again(soldout: Soldout, event: str, open_shop: OpenShop) -> None:
    sale = open_shop().sale(event)
    for _ in range(2):
        sale.buy_button.click()
        sale.sold()
        sale.root.get_by_role("button", name="Buy more").click()
        expect(sale.buy_button).to_be_focused()
    assert soldout.audit(event)["orders"] == 2


def test_a_reload_in_the_middle_of_a_purchase_buys_once(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop()
    sale = shop.sale(event)
    with standing_still(soldout.pid, *soldout.family()["worker"]):  # and nobody replaces them
        sale.buy_button.click()
        expect(sale.waiting).to_be_visible()
        shop.page.reload()
        expect(sale.waiting).to_contain_text("We ask again")  # it was told 202
        assert shop.purchases_kept() == 1
        shop.page.reload()
        expect(sale.waiting).to_be_visible()
    assert sale.sold() == tickets_of(soldout, event)
    check_bought_once(soldout, event)


def test_an_answer_that_is_lost_on_the_way_is_asked_for_again(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop().expecting(LOST)
    lost: list[str] = []

    def lose_the_first(route: Route) -> None:
        key = route.request.headers["idempotency-key"]
        if not lost:
            assert route.fetch().status == 201  # it was sold
            lost.append(key)
            route.abort("connectionreset")
        else:
            lost.append(key)
            route.continue_()

    shop.page.route("**/buy", lose_the_first)
    sale = shop.sale(event)
    sale.buy_button.click()
    assert sale.sold() == tickets_of(soldout, event)
    assert lost[0] == lost[1]
    check_bought_once(soldout, event)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_in_trouble_is_asked_again_with_the_same_key(
    soldout: Soldout, event: str, open_shop: OpenShop, status: int
) -> None:
    shop = open_shop().expecting(LOST)
    keys: list[str] = []

    def refuse_twice(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) <= 2:
            route.fulfill(status=status, headers={"Retry-After": "1"}, body="<h1>Trouble</h1>")
        else:
            route.continue_()

    shop.page.route("**/buy", refuse_twice)
    sale = shop.sale(event)
    sale.buy_button.click()
    expect(sale.waiting).to_contain_text("same key")
    sale.sold()
    assert len(keys) == 3
    assert len(set(keys)) == 1
    check_bought_once(soldout, event)


@pytest.mark.parametrize(
    ("status", "media", "body"),
    [
        (404, "application/json", '{"message": "no Route matched with those values"}'),
        (403, "text/html", "<h1>Forbidden</h1>"),
        (400, "application/problem+json", '{"type": "about:blank", "title": "Bad Request"}'),
        (422, "application/problem+json", "null"),
    ],
)
def test_a_refusal_by_somebody_on_the_way_is_not_the_services(
    soldout: Soldout, event: str, open_shop: OpenShop, status: int, media: str, body: str
) -> None:
    """A gateway whose service restarts knows nothing of the purchase."""
    shop = open_shop().expecting(LOST)
    keys: list[str] = []

    def stand_between(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            assert route.fetch().status == 201  # it was sold
            route.fulfill(status=status, content_type=media, body=body)
        else:
            route.continue_()

    shop.page.route("**/buy", stand_between)
    sale = shop.sale(event)
    sale.buy_button.click()
    assert sale.sold() == tickets_of(soldout, event)
    assert keys == [keys[0]] * 2
    check_bought_once(soldout, event)


def test_the_key_is_kept_before_anything_is_sent(event: str, open_shop: OpenShop) -> None:
    shop = open_shop()
    kept: list[Any] = []

    def look(route: Route) -> None:
        kept.append(route.request.headers["idempotency-key"].strip('"'))
        route.continue_()

    shop.page.evaluate("""() => {
        const send = window.fetch;
        window.fetch = (url, options) => {
            if (url === "/buy") window.keptAtSend = Object.keys(localStorage).join();
            return send(url, options);
        };
    }""")
    shop.page.route("**/buy", look)
    shop.sale(event).buy_button.click()
    shop.sale(event).sold()
    assert shop.page.evaluate("window.keptAtSend") == f"soldout.pending.{kept[0]}"


def test_an_event_with_a_limit_asks_who_buys_and_says_when_it_is_reached(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = f"limited-{secrets.token_hex(4)}"
    soldout.put_event(event, name="The limited", capacity=20, max_per_buyer=2)
    shop = open_shop().expecting(LOST)
    sale = shop.sale(event)
    sale.buy_button.click()
    email = sale.root.get_by_label("E-mail")
    assert email.evaluate("field => field.validity.valueMissing")
    assert soldout.audit(event)["orders"] == 0
    email.fill("ann@example.com")
    sale.root.get_by_label("Tickets", exact=True).fill("2")
    sale.buy_button.click()
    sale.sold()
    sale.root.get_by_role("button", name="Buy more").click()
    sale.buy_button.click()
    expect(sale.refusal).to_have_text(
        "At most 2 for each buyer; this one has 2. Nothing was bought."
    )
    assert shop.purchases_kept() == 0
    check_bought_once(soldout, event, tickets=2)


def test_who_comes_too_late_is_told_so_and_may_try_again(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop().expecting(LOST)
    shop.page.route("**/remaining*", lambda route: route.abort())  # it does not see what is left
    shop.page.route("**/remaining/stream", lambda route: route.abort())
    shop.page.reload()
    sale = shop.sale(event)
    sell(soldout, event, 19)
    sale.root.get_by_label("Tickets", exact=True).fill("2")
    sale.buy_button.click()
    expect(sale.refusal).to_have_text("Only 1 left. Nothing was bought.")
    expect(sale.buy_button).to_be_focused()
    sale.root.get_by_label("Tickets", exact=True).fill("1")
    sale.buy_button.click()
    sale.sold()
    assert shop.purchases_kept() == 0


def test_it_can_be_bought_with_the_keyboard_alone(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop().live()
    press = shop.page.keyboard.press
    press("Tab")
    expect(shop.page.get_by_text("To the tickets")).to_be_focused()
    press("Enter")
    quantity = shop.sale(event).root.get_by_label("Tickets", exact=True)
    for _ in range(1_000):  # past the events of all other tests
        press("Tab")
        if quantity.evaluate("field => field === document.activeElement"):
            break
    press("ArrowUp")
    outline = quantity.evaluate("field => getComputedStyle(field).outlineStyle")
    assert outline == "solid"
    press("Enter")
    assert len(shop.sale(event).sold()) == 2
    press("Tab")
    expect(shop.sale(event).done.get_by_role("link")).to_be_focused()
    press("Tab")
    press("Enter")
    expect(shop.sale(event).buy_button).to_be_focused()
    check_bought_once(soldout, event, tickets=2)


def test_what_was_bought_is_there_after_a_reload_and_shows_what_became_of_it(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    shop = open_shop()
    shop.sale(event).buy_button.click()
    shop.sale(event).sold()
    shop.page.reload()
    expect(shop.orders).to_have_count(1)
    assert shop.orders.locator("li").all_inner_texts() == tickets_of(soldout, event)
    [order] = soldout.admin("GET", f"/events/{event}/orders").json()["orders"]
    assert soldout.admin("POST", f"/orders/{order['id']}/cancel").status_code == 200
    shop.page.reload()
    expect(shop.orders.locator(".facts")).to_contain_text("Cancelled")


def leave_an_old_purchase(shop: Shop, event: str) -> None:
    purchase = {
        "key": secrets.token_hex(16),
        "event": event,
        "body": json.dumps({"event": event, "quantity": 1}),
        "at": round(time.time() * 1000) - OLD_MS,
    }
    shop.page.evaluate(
        "purchase => localStorage.setItem('soldout.pending.' + purchase.key,"
        " JSON.stringify(purchase))",
        purchase,
    )
    shop.page.reload()


def test_an_old_purchase_without_an_answer_is_not_repeated_unasked(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    """Days later it might buy what nobody wants any more; so its buyer is asked."""
    shop = open_shop()
    leave_an_old_purchase(shop, event)
    shop.live()
    doubt = shop.page.get_by_role("region", name="Purchases without an answer")
    expect(doubt).to_contain_text("was never answered")
    assert soldout.audit(event)["orders"] == 0
    doubt.get_by_role("button", name="Ask again").click()
    shop.sale(event).sold()
    check_bought_once(soldout, event)
    leave_an_old_purchase(shop, event)
    doubt.get_by_role("button", name="Forget it").click()
    expect(doubt).to_have_count(0)
    assert shop.purchases_kept() == 0
    check_bought_once(soldout, event)


KEPT_AT = """() => {
    const name = Object.keys(localStorage).find(name => name.startsWith("soldout.pending."));
    return JSON.parse(localStorage.getItem(name)).at;
}"""


def test_a_purchase_that_grows_old_in_an_open_tab_is_not_repeated_unasked(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    """Who shuts a laptop at a lost answer does not want tickets when it is opened again."""
    shop = open_shop().live().expecting(LOST)
    asked: list[str] = []

    def fail(route: Route) -> None:
        asked.append(route.request.headers["idempotency-key"])
        route.fulfill(status=503, headers={"Retry-After": "1"}, body="")

    shop.page.clock.install()
    shop.page.route("**/buy", fail)
    sale = shop.sale(event)
    sale.buy_button.click()
    expect(sale.waiting).to_contain_text("We ask again")
    wished_at = shop.page.evaluate(KEPT_AT)
    shop.page.clock.fast_forward(OLD_MS)
    doubt = shop.page.get_by_role("region", name="Purchases without an answer")
    expect(doubt).to_contain_text("A purchase of 1 ticket for The gala")
    expect(doubt.locator(".doubt")).to_be_focused()
    expect(sale.buy_button).to_be_visible()
    assert shop.purchases_kept() == 1
    before = len(asked)
    shop.page.clock.fast_forward(OLD_MS)
    assert len(asked) == before
    doubt.get_by_role("button", name="Ask again").click()
    expect(sale.waiting).to_contain_text("We ask again")
    assert shop.page.evaluate(KEPT_AT) >= wished_at + 2 * OLD_MS  # a reload goes on with it
    shop.page.unroute("**/buy")
    shop.page.clock.fast_forward(20_000)
    sale.sold()
    assert len(set(asked)) == 1
    assert shop.purchases_kept() == 0
    check_bought_once(soldout, event)
