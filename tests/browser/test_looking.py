"""Looking at the live page: the numbers move by themselves, and every state is told apart."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenShop
from tests.faults.stopping import standing_still
from tests.harness import Soldout, serving
from tests.onlooker import looking

LOST = "Failed to load resource"
# Keeps what a clock says, second by second, and whether its event could be bought meanwhile.
NOTE_TEXTS = """clock => {
    const act = clock.closest(".sale").querySelector(".act");
    window.told = [];
    const note = () => window.told.push([clock.textContent, act.checkVisibility()]);
    const everything = { childList: true, characterData: true, subtree: true };
    new MutationObserver(note).observe(clock, everything);
    note();
}"""


def put(service: Soldout, **body: object) -> str:
    name = f"event-{secrets.token_hex(4)}"
    service.put_event(name, **{"capacity": 20, **body})
    return name


def test_a_sale_on_one_page_shows_on_another_by_itself(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = put(soldout)
    one, another = open_shop().live(), open_shop().live()
    another.sale(event).left(20)
    one.sale(event).buy_button.click()
    one.sale(event).sold()
    another.sale(event).left(19)
    expect(another.sale(event).root.locator("[data-n=sold]")).to_have_text("1")
    width = another.sale(event).root.locator(".bar .remaining").get_attribute("width")
    assert width == "95.00"


def test_every_state_is_told_in_words_and_shape_and_only_one_that_sells_can_be_bought(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = put(soldout, capacity=1)
    sale = open_shop().live().sale(event)
    order = soldout.buy(event).json()
    steps = [
        (None, "Sold out"),
        (f"/orders/{order['id']}/cancel", "On sale"),
        (f"/events/{event}/pause", "Paused"),
        (f"/events/{event}/resume", "On sale"),
        (f"/events/{event}/close", "Closed"),
    ]
    shapes = {}
    for path, words in steps:
        if path is not None:
            assert soldout.admin("POST", path).status_code == 200
        sale.says(words)
        expect(sale.buy_button).to_be_visible(visible=words == "On sale")
        shown = sale.badge.locator("span:visible")
        shape = shown.locator("use").get_attribute("href")
        shapes[words] = (shape, shown.evaluate("e => getComputedStyle(e).color"))
    assert len({shape for shape, _ in shapes.values()}) == len(shapes)
    assert shapes["On sale"][1] != shapes["Sold out"][1] != shapes["Paused"][1]


def test_a_card_says_each_thing_once_and_in_one_line(soldout: Soldout, open_shop: OpenShop) -> None:
    closes_at = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    unnamed, named = put(soldout), put(soldout, name="Named", closes_at=closes_at)
    shop = open_shop()
    codes = [shop.sale(event).root.locator(".code") for event in (unnamed, named)]
    expect(codes[0]).to_be_hidden()  # the heading is the same word
    expect(codes[1]).to_be_visible()
    rows = [code.locator("..").bounding_box() for code in codes]
    assert rows[0] is not None
    assert rows[1] is not None
    assert rows[0]["height"] == rows[1]["height"]
    ends = shop.sale(named).root.get_by_text("The sale ends").bounding_box()
    assert ends is not None
    assert ends["height"] < 30


def test_what_is_held_may_come_back_and_the_page_says_so(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = put(soldout, capacity=3)
    shop = open_shop()
    stock = soldout.admin("GET", f"/remaining/{event}").json()
    held = {"status": "all_held", "held": 3, "remaining": 0}
    stock.update(held, ticket_types=[{**stock["ticket_types"][0], "held": 3, "remaining": 0}])
    body = f"event: remaining\ndata: {json.dumps(stock)}\n\n"
    shop.page.route("**/remaining/stream", lambda route: route.fulfill(status=200, body=body))
    shop.page.reload()
    sale = shop.sale(event)
    sale.says("All held")
    expect(sale.root.locator(".stub")).to_contain_text("may come back")
    expect(sale.root.locator(".legend")).to_contain_text("3 held")
    expect(sale.buy_button).to_be_hidden()


def test_a_sale_counts_down_and_opens_by_itself(soldout: Soldout, open_shop: OpenShop) -> None:
    opens_at = datetime.now(UTC) + timedelta(seconds=6)
    event = put(soldout, opens_at=opens_at.isoformat())
    sale = open_shop().live().sale(event)
    sale.says("Not open yet")
    # The page notes what the clock says: who only looks now and then may miss a second.
    sale.root.get_by_role("timer").evaluate(NOTE_TEXTS)
    expect(sale.buy_button).to_be_hidden()
    sale.says("On sale")
    told = sale.root.page.evaluate("window.told")
    counted = [(text, buyable) for text, buyable in told if text in ("00:00:03", "00:00:02")]
    assert counted == [("00:00:03", False), ("00:00:02", False)]
    sale.buy_button.click()
    sale.sold()


def test_who_comes_long_after_the_last_change_counts_down_to_the_same_moment(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    """A newcomer is told the stock in the words of its last change, which may be hours old."""
    event = put(soldout, opens_at=(datetime.now(UTC) + timedelta(minutes=30)).isoformat())
    with looking(soldout.port, f"?event={event}") as onlooker:
        told = onlooker.told().entry
    changed_at = datetime.fromisoformat(told["as_of"]) - timedelta(hours=3)
    replayed = json.dumps({**told, "as_of": changed_at.isoformat(), "remaining": 17})
    body = f"event: remaining\ndata: {replayed}\n\n"
    shop = open_shop()
    shop.page.route("**/remaining/stream", lambda route: route.fulfill(status=200, body=body))
    shop.page.reload()
    sale = shop.sale(event)
    sale.left(17)  # it was told
    clock = sale.root.get_by_role("timer")
    expect(clock).not_to_have_text(clock.inner_text())  # it has ticked since
    assert re.fullmatch("00:2[5-9]:..", clock.inner_text())


def test_who_comes_back_to_the_page_gets_a_new_one(open_shop: OpenShop) -> None:
    """A browser's own copy would bring a clock along that stood still meanwhile."""
    shop = open_shop().live()
    made = shop.page.locator("html").get_attribute("data-now")
    assert made is not None
    shop.page.goto(f"{shop.url}/problems/")
    shop.page.go_back()
    expect(shop.page.locator("html")).not_to_have_attribute("data-now", made)


def test_an_event_that_is_put_on_sale_appears_by_itself(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    shop = open_shop().live()
    event = put(soldout, name="Brand new")
    expect(shop.sale(event).root.get_by_role("heading")).to_have_text("Brand new")
    shop.sale(event).buy_button.click()
    shop.sale(event).sold()


def test_what_is_over_is_folded_away_and_comes_back_to_its_place_if_it_goes_on(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    first = put(soldout, name="The long past", closes_at="2020-01-01T00:00:00Z")
    second = put(soldout, name="The coming")
    shop = open_shop().live()
    over = shop.page.locator(".over")
    assert shop.sale(first).root.count() == 0
    assert shop.sale(second).root.count() == 1
    shop.page.get_by_text(re.compile(r"(is|are) over$")).click()
    expect(over.get_by_text("The long past")).to_be_visible()
    soldout.put_event(first, name="The long past", capacity=9)
    shop.sale(first).says("On sale")
    expect(over.get_by_text("The long past")).to_have_count(0)
    events = shop.page.locator(".sale").evaluate_all("all => all.map(sale => sale.dataset.event)")
    assert events.index(first) < events.index(second)


def test_tickets_of_a_sale_that_is_over_keep_its_name_and_price(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    price = {"amount": 2500, "currency": "EUR"}
    kinds = [{"id": "standing", "capacity": 5, "price": price}]
    event = f"over-{secrets.token_hex(4)}"
    soldout.put_event(event, name="The short", ticket_types=kinds)
    shop = open_shop()
    shop.sale(event).buy_button.click()
    shop.sale(event).sold()
    assert soldout.admin("POST", f"/events/{event}/close").status_code == 200
    shop.page.reload()
    expect(shop.orders.locator("h3")).to_have_text("The short")
    expect(shop.orders.locator(".facts")).to_contain_text("€25.00")
    assert shop.sale(event).root.count() == 0


def test_ticket_types_that_change_are_taken_over(soldout: Soldout, open_shop: OpenShop) -> None:
    event = put(soldout)
    sale = open_shop().live().sale(event)
    soldout.put_event(
        event, ticket_types=[{"id": "general", "capacity": 20}, {"id": "late", "capacity": 5}]
    )
    expect(sale.root.locator(".kind .stepper")).to_have_count(2)
    sale.left(25)


def test_a_screen_reader_hears_states_and_not_every_number(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = put(soldout, name="The quiet one", capacity=3)
    shop = open_shop().live()
    announcer = shop.page.locator("#announcer")
    expect(announcer).to_have_role("status")
    soldout.buy(event)
    shop.sale(event).left(2)
    expect(announcer).to_be_empty()
    soldout.buy(event, 2)
    expect(announcer).to_have_text("The quiet one: Sold out")


def test_a_connection_that_is_lost_is_said_and_comes_back(
    tmp_path: Path, open_shop: OpenShop
) -> None:
    with serving(tmp_path / "data", web_processes=1) as service:
        event = put(service)
        shop = open_shop(service).live().expecting(LOST)
        shop.sale(event).left(20)
        service.terminate()
        expect(shop.banner).to_contain_text("A purchase under way is safe")
        expect(shop.page.locator("#link")).to_have_text("Reconnecting…")
        shop.sale(event).buy_button.click()
        expect(shop.sale(event).waiting).to_contain_text("We ask again")
        service.start()
        shop.live()
        expect(shop.banner).to_be_hidden()
        assert len(shop.sale(event).sold()) == 1
        shop.sale(event).left(19)
        assert service.audit(event)["orders"] == 1


def test_a_service_that_falls_silent_is_noticed(soldout: Soldout, open_shop: OpenShop) -> None:
    """A connection may stay open though nobody is there any more: then its heartbeat is missed."""
    event = put(soldout)
    shop = open_shop().live().expecting(LOST)
    shop.page.clock.install()
    shop.page.reload()
    shop.live()
    with standing_still(*soldout.family()["web"]):
        shop.page.clock.fast_forward(26_000)
        expect(shop.page.locator("#link")).to_have_text("Reconnecting…")
        shop.page.clock.fast_forward(5_000)
        expect(shop.banner).to_be_visible()
    shop.page.clock.resume()
    shop.live()
    soldout.buy(event)
    shop.sale(event).left(19)


def test_where_no_stream_is_free_the_numbers_still_move(
    tmp_path: Path, open_shop: OpenShop
) -> None:
    with serving(tmp_path / "data", web_processes=1, streams_max=0) as service:
        event = put(service)
        shop = open_shop(service).expecting(LOST)
        expect(shop.page.locator("#link")).to_have_text("Every few seconds")
        service.buy(event)
        shop.sale(event).left(19)
        expect(shop.banner).to_be_hidden()


def test_a_tab_that_nobody_sees_gives_its_stream_back(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = put(soldout)
    shop = open_shop().live()
    shop.page.clock.install()
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    shop.page.evaluate(hide, True)
    with shop.page.expect_event("requestfailed"):
        shop.page.clock.fast_forward(11_000)
    soldout.buy(event)
    shop.page.evaluate(hide, False)
    shop.sale(event).left(19)


def test_without_javascript_it_is_a_list_to_read(soldout: Soldout, open_shop: OpenShop) -> None:
    event = put(soldout, name="Plain & <simple>")
    soldout.buy(event, 5)
    shop = open_shop(java_script_enabled=False)
    sale = shop.sale(event)
    expect(sale.root.get_by_role("heading")).to_have_text("Plain & <simple>")
    expect(sale.root.locator(".left")).to_have_text("15 of 20 left")
    sale.says("On sale")
    expect(sale.buy_button).to_be_hidden()
    expect(shop.page.locator("noscript .plain")).to_be_visible()


def test_a_web_process_that_is_replaced_goes_unnoticed(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = put(soldout)
    shop = open_shop().live().expecting(LOST)
    for web in soldout.family()["web"]:
        os.kill(web, signal.SIGTERM)
    expect(shop.page.locator("#link")).to_have_text("Reconnecting…")
    shop.live()
    soldout.buy(event)
    shop.sale(event).left(19)
