"""The box office as an operator meets it: the door, the figures, and what can be done."""

from __future__ import annotations

import re
import secrets
from typing import Self

from playwright.sync_api import Locator, expect

from tests.browser.visit import Visit
from tests.harness import Soldout


def put(service: Soldout, **body: object) -> str:
    """Put an event of the test's own, with 20 tickets unless it says otherwise."""
    name = f"event-{secrets.token_hex(4)}"
    service.put_event(name, **(body if "ticket_types" in body else {"capacity": 20, **body}))
    return name


class Office(Visit):
    """One operator's page."""

    path = "/admin"

    def sign_in(self, key: str) -> Self:
        """Sign in with a key, and wait until the figures are there."""
        self.enter(key)
        expect(self.page.get_by_role("heading", name="Box office")).to_be_focused()
        return self.live()

    def enter(self, key: str) -> None:
        """Write a key and press the button."""
        self.page.get_by_label("Administration key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()

    def choose(self, event: str) -> Self:
        """Choose an event of several, or wait for the only one."""
        row = self.page.locator(f"#events [data-event='{event}'] button")
        expect(row).to_have_count(1)
        if row.is_visible():
            row.click()
        expect(self.page.locator("#event-id")).to_have_text(event)
        return self

    def button(self, name: str) -> Locator:
        """Return a button by what it says."""
        return self.page.get_by_role("button", name=name, exact=True)

    def figure(self, name: str) -> Locator:
        """Return one of the figures, such as `sold` a second, or `event-remaining`."""
        return self.page.locator(f"#{name}")

    def shows(self, name: str, text: str | re.Pattern[str]) -> Self:
        """Wait until a figure is this."""
        expect(self.figure(name)).to_have_text(text)
        return self

    def says(self, words: str) -> Self:
        """Wait until the chosen event's state is told in these words."""
        expect(self.page.locator("#ticket .badge span:visible")).to_have_text(words)
        return self

    def orders(self) -> Locator:
        """Return the rows of the last orders."""
        return self.page.locator("#last-orders tr")

    def find(self, wanted: str) -> Locator:
        """Look for an order, and return where one that was found is shown."""
        self.page.get_by_label("Order id or idempotency key").fill(wanted)
        self.button("Find").click()
        return self.page.locator("#found .order")

    def answer(self, name: str) -> None:
        """Answer the question that is asked."""
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        dialog.get_by_role("button", name=name, exact=True).click()
        expect(dialog).to_be_hidden()

    def refusal(self, name: str) -> Locator:
        """Return what says why something was not done."""
        return self.page.locator(f"#{name}-refusal")
