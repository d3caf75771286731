"""The live page as a visitor meets it: what it shows, what can be pressed, and what went wrong."""

from __future__ import annotations

import re
import secrets

from playwright.sync_api import Locator, expect

from tests.browser.visit import Visit
from tests.harness import Soldout, wait_until

PRICE = {"amount": 2500, "currency": "EUR"}
KEPT = "Object.keys(localStorage).filter(name => name.startsWith('soldout.pending.')).length"


class Shop(Visit):
    """One visitor's page of what is on sale."""

    def sale(self, event: str) -> Sale:
        """Return what the page shows of an event."""
        return Sale(self.page.locator(f"#sale-{event}"))

    @property
    def orders(self) -> Locator:
        """What was bought in this browser."""
        return self.page.get_by_role("region", name="Your tickets").locator(".order")

    def purchases_kept(self) -> int:
        """Count the purchases whose fate this browser does not know."""
        return int(self.page.evaluate(KEPT))


class Sale:
    """One event on the page."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.form = root.locator("form")
        self.buy_button = self.form.locator(".act")
        self.badge = root.locator(".badge")
        self.cannot = root.get_by_role("status")
        self.refusal = root.locator(".refusal")
        self.waiting = root.locator(".waiting")
        self.done = root.locator(".done")

    def field(self, ticket_type: str) -> Locator:
        """Return where it is written how many of a type are wanted, if there are several types."""
        return self.root.get_by_role("spinbutton", name=ticket_type, exact=True)

    def step(self, ticket_type: str, by: int) -> None:
        """Press the button for one more, or one fewer, so many times."""
        name = f"One {ticket_type} {'more' if by > 0 else 'fewer'}"
        for _ in range(abs(by)):
            self.root.get_by_role("button", name=name).click(force=True)  # it may say no

    def left(self, count: int) -> None:
        """Wait until so many are left."""
        expect(self.root.locator("[data-n=remaining]")).to_have_text(f"{count:,}")

    def says(self, words: str) -> None:
        """Wait until the event's state is told in these words."""
        expect(self.badge.locator("span:visible")).to_have_text(words)

    def sold(self) -> list[str]:
        """Wait until a purchase was sold here, and return its tickets as shown."""
        expect(self.done).to_be_visible()
        expect(self.done.locator("li").first).to_be_visible()
        return self.done.locator("li").all_inner_texts()


def tickets_of(service: Soldout, event: str) -> list[str]:
    """Return the tickets of an event's only order as the page is to show them."""
    answer = service.admin("GET", f"/events/{event}/orders")
    assert answer.status_code == 200
    [order] = answer.json()["orders"]
    return [
        f"No. {ticket['number']}\n{ticket['ticket_type']}\n"
        + " ".join(re.findall("....", ticket["code"]))
        for ticket in order["tickets"]
    ]


def check_bought_once(service: Soldout, event: str, tickets: int = 1) -> None:
    """Check that an event sold one order of so many tickets, and nothing else."""
    audit = service.audit(event)
    assert (audit["orders"], audit["sold"]) == (1, tickets)


def sell(service: Soldout, event: str, quantity: int = 1, **more: object) -> None:
    """Sell to somebody else; on a busy machine that may take longer than the service waits."""
    key = secrets.token_hex(16)
    wait_until(
        lambda: service.buy(event, quantity, key, **more).status_code == 201, 30, f"{event} sells"
    )


def put_gala(service: Soldout) -> None:
    """Put the event on sale that most pictures are of: three kinds of tickets, at three prices."""
    service.put_event(
        "gala",
        name="The Winter Gala",
        max_per_order=8,
        ticket_types=[
            {"id": "standing", "capacity": 500, "price": PRICE},
            {"id": "balcony", "capacity": 120, "price": {**PRICE, "amount": 4900}},
            {"id": "vip", "capacity": 20, "price": {**PRICE, "amount": 9900}},
        ],
    )
