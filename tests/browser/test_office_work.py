"""What an operator does in the box office: pause, resize, find, cancel, take the orders home."""

from __future__ import annotations

import csv
import io
import secrets
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenOffice, OpenPage, OpenShop
from tests.browser.office import Office, put
from tests.harness import Soldout

LOST = "Failed to load resource"
PRICED = [
    {"id": "standing", "capacity": 50, "price": {"amount": 2500, "currency": "EUR"}},
    {"id": "vip", "capacity": 3, "price": {"amount": 9900, "currency": "EUR"}},
]


def test_a_pause_and_its_end_are_seen_where_buyers_are(
    event: str, open_office: OpenOffice, open_shop: OpenShop
) -> None:
    office, sale = open_office().choose(event), open_shop().live().sale(event)
    office.button("Pause the sale").click()
    sale.says("Paused")
    office.says("Paused")
    expect(office.button("Sell again")).to_be_focused()
    office.button("Sell again").click()
    sale.says("On sale")
    office.says("On sale")
    sale.buy_button.click()
    sale.sold()
    office.shows("event-sold", "1")


def test_closing_is_asked_about_and_can_be_taken_back(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    office = open_office().choose(event)
    close = office.button("Close the sale")
    close.click()
    expect(office.page.get_by_role("dialog")).to_have_accessible_name("Close The gala?")
    expect(office.button("Leave it as it is")).to_be_focused()
    office.page.keyboard.press("Escape")
    expect(office.page.get_by_role("dialog")).to_be_hidden()
    expect(close).to_be_focused()
    assert soldout.admin("GET", f"/events/{event}").json()["status"] == "on_sale"
    close.click()
    office.page.get_by_role("dialog").get_by_role("button", name="Close the sale").click()
    office.says("Closed")
    expect(close).to_be_hidden()
    expect(office.button("Sell again")).to_be_focused()
    office.page.keyboard.press("Enter")
    office.says("On sale")


def test_a_capacity_is_changed_and_all_else_stays(
    soldout: Soldout, open_office: OpenOffice
) -> None:
    event = put(soldout, name="Priced", ticket_types=PRICED, max_per_buyer=5)
    before = soldout.admin("GET", f"/events/{event}").json()
    office = open_office().choose(event)
    office.page.get_by_label("Capacity of vip").fill("7")
    office.button("Change capacity").click()
    office.shows("event-capacity", "57").shows("event-remaining", "57")
    after = soldout.admin("GET", f"/events/{event}").json()
    assert [kind.pop("capacity") for kind in after["ticket_types"]] == [50, 7]
    for kind in before["ticket_types"]:
        del kind["capacity"]
    assert after == before


def test_a_capacity_below_what_is_sold_is_refused_with_the_reason(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    soldout.buy(event, 12)
    office = open_office().choose(event).shows("event-sold", "12").expecting(LOST)
    field = office.page.get_by_label("Capacity of general")
    field.fill("11")
    field.press("Enter")
    expect(office.refusal("resize")).to_have_text(
        "12 of general are sold or held; nothing was changed."
    )
    office.shows("event-capacity", "20")
    expect(field).to_have_value("11")  # what is being written stays
    for wrong in ("", "-1", "1.5", "9999999999"):
        field.fill(wrong)
        field.press("Enter")
        expect(office.refusal("resize")).to_contain_text("a whole number")
    field.fill("12")
    field.press("Enter")
    office.shows("event-capacity", "12").says("Sold out")
    expect(office.refusal("resize")).to_have_text("")
    soldout.put_event(event, capacity=30)
    expect(field).to_have_value("30")  # somebody else's change shows where nobody writes


def test_a_capacity_that_somebody_else_has_changed_is_told_before_it_is_changed_again(
    soldout: Soldout, open_office: OpenOffice
) -> None:
    event = put(soldout, name="Priced", ticket_types=PRICED)
    office = open_office().choose(event)
    office.page.get_by_label("Capacity of vip").fill("7")
    others = [{**PRICED[0], "capacity": 60}, {**PRICED[1], "capacity": 5}]
    soldout.put_event(event, name="Renamed", ticket_types=others, max_per_buyer=2)

    def stands() -> tuple[Any, ...]:
        found = soldout.admin("GET", f"/events/{event}").json()
        capacities = [kind["capacity"] for kind in found["ticket_types"]]
        return found["name"], found["max_per_buyer"], *capacities

    office.button("Change capacity").click()
    expect(office.refusal("resize")).to_have_text(
        "Somebody else has changed vip: it is 5 now, no longer 3. Nothing was changed here."
    )
    assert stands() == ("Renamed", 2, 60, 5)
    office.button("Change capacity").click()
    office.shows("event-capacity", "67")
    expect(office.refusal("resize")).to_have_text("")
    assert stands() == ("Renamed", 2, 60, 7)


def test_an_order_that_is_cancelled_gives_its_stock_back(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    order = soldout.buy(event, 3, buyer="ann@example.com").json()
    office = open_office().choose(event)
    row = office.orders()
    expect(row).to_have_count(1)
    expect(row).to_contain_text("3 general")
    expect(row).to_contain_text("ann@example.com")
    cancel = row.get_by_role("button", name=f"Cancel order {order['id']}")
    cancel.click()
    dialog = office.page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 general of ann@example.com")
    office.answer("Leave it as it is")
    expect(cancel).to_be_focused()
    assert soldout.audit(event)["sold"] == 3
    cancel.click()
    office.answer("Cancel the order")
    expect(row).to_contain_text("Cancelled")
    expect(cancel).to_be_hidden()
    office.shows("event-remaining", "20").shows("event-sold", "0")
    expect(office.figure("curve-read")).to_contain_text("3 tickets of them were cancelled since")
    assert soldout.audit(event)["sold"] == 0


def test_an_order_is_found_by_its_id_and_by_its_key_and_can_be_cancelled_there(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    key, uuid = secrets.token_hex(16), "b3f1c2de-9a40-4c6e-8f57-" + secrets.token_hex(6)
    order = soldout.buy(event, 2, key, buyer="ann@example.com").json()
    second = soldout.buy(event, 1, uuid).json()
    office = open_office().expecting(LOST)
    for wanted, wished in (
        (order["id"], order),
        (f"  {order['id'].upper()} ", order),
        (key, order),
        (uuid, second),
    ):
        found = office.find(wanted)
        expect(found).to_be_focused()
        expect(found.locator(".id")).to_have_text(wished["id"])
        codes = [code.replace(" ", "") for code in found.locator("code").all_inner_texts()]
        assert codes == [ticket["code"] for ticket in wished["tickets"]]
    found = office.find(key)
    expect(found).to_contain_text("ann@example.com")
    found.get_by_role("button", name="Cancel the order").click()
    office.answer("Cancel the order")
    expect(found).to_contain_text("Cancelled")
    expect(found.get_by_role("button")).to_be_hidden()
    assert soldout.audit(event)["sold"] == 1


def test_what_is_not_found_is_said(event: str, open_office: OpenOffice) -> None:
    office = open_office().expecting(LOST)
    refusal = office.refusal("find")
    for unknown in ("01936b5e-77c8-8f3a-a3c0-1f4e5d6c7b8a", "a-key-that-nobody-has-used"):
        office.find(unknown)
        expect(refusal).to_have_text("No order has this id, and none was sold under this key.")
    for no_name in ("", "short", "ann smith and her friends"):
        office.find(no_name)
        expect(refusal).to_contain_text("id nor an idempotency key")
    expect(office.page.locator("#found .order")).to_have_count(0)


def test_the_last_orders_stand_still_under_the_pointer(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    soldout.buy(event)
    office = open_office().choose(event)
    expect(office.orders()).to_have_count(1)
    office.page.locator("#orders-scroll").hover()
    soldout.buy(event)
    expect(office.figure("orders-still")).to_have_text("Held still while you are in it")
    office.shows("event-sold", "2")
    expect(office.orders()).to_have_count(1)
    office.page.mouse.move(1, 1)
    expect(office.orders()).to_have_count(2)
    expect(office.figure("orders-still")).to_have_text("")
    newest = office.orders().first.get_attribute("data-order")
    orders = soldout.admin("GET", f"/events/{event}/orders").json()["orders"]
    assert newest == orders[-1]["id"]


def test_a_row_shows_its_order(soldout: Soldout, event: str, open_office: OpenOffice) -> None:
    order = soldout.buy(event, 2).json()
    office = open_office().choose(event)
    office.orders().get_by_role("button", name=f"Show order {order['id']}").click()
    expect(office.page.locator("#found .id")).to_have_text(order["id"])


def test_all_orders_come_as_a_file(soldout: Soldout, event: str, open_office: OpenOffice) -> None:
    for _ in range(3):
        soldout.buy(event, 2, buyer="ann@example.com")
    office = open_office().choose(event)
    with office.page.expect_download() as coming:
        office.button("Orders as CSV").click()
    download = coming.value
    assert download.suggested_filename == f"{event}-orders.csv"
    rows: list[Any] = list(csv.DictReader(io.StringIO(Path(download.path()).read_text())))
    assert [row["number"] for row in rows] == [str(n) for n in range(1, 7)]
    expect(office.button("Orders as CSV")).to_be_visible()


def test_it_can_all_be_done_with_the_keyboard_alone(soldout: Soldout, open_page: OpenPage) -> None:
    event = put(soldout, name="By hand")
    soldout.buy(event, 2)
    office: Office = open_page(Office)
    press, page = office.page.keyboard.press, office.page
    page.keyboard.type(soldout.admin_key)  # the field has the focus
    press("Enter")
    office.live().choose(event)
    page.locator("h1").last.focus()

    def tab_to(name: str) -> None:
        wanted = page.get_by_role("button", name=name, exact=True)
        for _ in range(150):
            press("Tab")
            if wanted.evaluate("e => e === document.activeElement"):
                outline = wanted.evaluate("e => getComputedStyle(e).outlineStyle")
                assert outline == "solid", name
                return
        pytest.fail(f"no way to {name}")

    tab_to("Pause the sale")
    press("Enter")
    office.says("Paused")
    press("Enter")
    office.says("On sale")
    [order] = soldout.admin("GET", f"/events/{event}/orders").json()["orders"]
    tab_to(f"Cancel order {order['id']}")
    press("Enter")
    press("Tab")
    press("Enter")
    office.shows("event-sold", "0")
    expect(page.locator("#orders-scroll")).to_be_focused()
