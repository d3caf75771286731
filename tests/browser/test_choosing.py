"""Choosing on the live page: so many of each ticket type, never more than may be had."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenShop
from tests.browser.shop import check_bought_once, sell
from tests.harness import Soldout

PRICED = [
    {"id": "standing", "capacity": 50, "price": {"amount": 2500, "currency": "EUR"}},
    {"id": "vip", "capacity": 3, "price": {"amount": 9900, "currency": "EUR"}},
]


@pytest.fixture
def choice(soldout: Soldout) -> str:
    """An event of the test's own with two ticket types, and three tickets an order."""
    event = f"choice-{secrets.token_hex(4)}"
    soldout.put_event(event, name="The choice", ticket_types=PRICED, max_per_order=3)
    return event


def test_several_ticket_types_are_one_order_and_the_price_follows(
    soldout: Soldout, choice: str, open_shop: OpenShop
) -> None:
    sale = open_shop().live().sale(choice)
    expect(sale.buy_button).to_have_text("Buy 1 ticket · €25.00")
    sale.step("vip", 2)
    expect(sale.buy_button).to_have_text("Buy 3 tickets · €223.00")
    sale.buy_button.click()
    assert [text.split("\n")[:2] for text in sale.sold()] == [
        ["No. 1", "standing"],
        ["No. 2", "vip"],
        ["No. 3", "vip"],
    ]
    expect(sale.root.locator(".kind[data-kind=vip]")).to_contain_text("1 left")
    check_bought_once(soldout, choice, tickets=3)


def test_one_type_of_several_is_bought_alone(
    soldout: Soldout, choice: str, open_shop: OpenShop
) -> None:
    sale = open_shop().live().sale(choice)
    sale.step("standing", -1)
    expect(sale.buy_button).to_have_text("Buy 0 tickets")
    sale.buy_button.click()
    assert sale.field("standing").evaluate("e => e.validationMessage") == "Choose how many."
    sale.step("vip", 1)
    sale.buy_button.click()
    assert [text.split("\n")[1] for text in sale.sold()] == ["vip"]
    check_bought_once(soldout, choice)


def test_no_more_can_be_chosen_than_are_left_or_allowed(
    soldout: Soldout, choice: str, open_shop: OpenShop
) -> None:
    sell(soldout, choice, 1, ticket_type="vip")
    sale = open_shop().live().sale(choice)
    sale.step("vip", 4)
    expect(sale.field("vip")).to_have_value("2")  # of which 2 are left, and 3 an order
    sale.step("standing", 4)
    expect(sale.field("standing")).to_have_value("1")
    sale.field("standing").fill("2")
    sale.buy_button.click()
    assert sale.field("standing").evaluate("e => e.validationMessage") == "At most 3 in one order."
    expect(sale.cannot).to_have_text("At most 3 in one order.")
    sale.field("standing").fill("0")
    sell(soldout, choice, 1, ticket_type="vip")
    expect(sale.root.locator(".kind[data-kind=vip]")).to_contain_text("1 left")
    sale.buy_button.click()  # what was chosen is not changed in silence
    assert sale.field("vip").evaluate("e => e.validationMessage") == "Only 1 left."
    expect(sale.cannot).to_have_text("Only 1 of vip left.")
    assert soldout.audit(choice)["sold"] == 2
    sale.step("vip", -1)
    sale.buy_button.click()
    sale.sold()
    assert soldout.audit(choice)["sold"] == 3


def test_what_is_proposed_and_not_chosen_goes_to_what_there_still_is(
    soldout: Soldout, open_shop: OpenShop
) -> None:
    event = f"choice-{secrets.token_hex(4)}"
    few = [{"id": "front", "capacity": 1}, {"id": "back", "capacity": 9}]
    soldout.put_event(event, name="The few", ticket_types=few)
    sale = open_shop().live().sale(event)
    expect(sale.field("front")).to_have_value("1")
    sell(soldout, event, 1, ticket_type="front")
    expect(sale.field("back")).to_have_value("1")
    expect(sale.field("front")).to_have_value("0")
    sale.buy_button.click()
    assert [text.split("\n")[1] for text in sale.sold()] == ["back"]


def test_what_is_left_bounds_a_single_type_too(
    soldout: Soldout, event: str, open_shop: OpenShop
) -> None:
    sale = open_shop().live().sale(event)
    sell(soldout, event, 18)
    sale.left(2)
    sale.step("ticket", 4)
    more = sale.root.get_by_role("button", name="One ticket more")
    expect(sale.root.get_by_label("Tickets", exact=True)).to_have_value("2")
    expect(more).to_have_attribute("aria-disabled", "true")
    expect(sale.buy_button).to_have_text("Buy 2 tickets")
    expect(sale.cannot).to_have_text("")
    sell(soldout, event, 1)
    expect(sale.cannot).to_have_text(
        "Only 1 left."
    )  # said without a click, nothing changed unasked
    expect(sale.root.get_by_label("Tickets", exact=True)).to_have_value("2")
    sale.step("ticket", -1)
    expect(sale.cannot).to_have_text("")
