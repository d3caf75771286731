"""The live page as a visitor meets it: what it shows, what can be pressed, and what went wrong."""

from __future__ import annotations

import re
from typing import Self
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

from tests.harness import Soldout

KEPT = "Object.keys(localStorage).filter(name => name.startsWith('soldout.pending.')).length"


class Shop:
    """One visitor's page. Console errors must be announced with `expecting`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self._expected: list[str] = []
        self._errors: list[str] = []
        self._hosts: set[str] = set()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._errors.append(f"uncaught: {error}"))
        page.on("request", self._on_request)

    def visit(self) -> Self:
        """Open the page, and wait until the script has taken over, if there is one."""
        self.page.goto(self.url)
        return self

    def sale(self, event: str) -> Sale:
        """Return what the page shows of an event."""
        return Sale(self.page.locator(f"#sale-{event}"))

    @property
    def orders(self) -> Locator:
        """What was bought in this browser."""
        return self.page.get_by_role("region", name="Your tickets").locator(".order")

    @property
    def banner(self) -> Locator:
        """What says that the connection is lost."""
        return self.page.locator("#banner")

    def live(self) -> Self:
        """Wait until the stream is open."""
        expect(self.page.locator("#link")).to_have_text("Live")
        return self

    def purchases_kept(self) -> int:
        """Count the purchases whose fate this browser does not know."""
        return int(self.page.evaluate(KEPT))

    def expecting(self, pattern: str) -> Self:
        """Let the console say this: a browser reports refusals there, too."""
        self._expected.append(pattern)
        return self

    def check_nothing_went_wrong(self) -> None:
        """Nothing in the console, no other host asked: a policy that is broken shows in both."""
        assert self._errors == []
        assert self._hosts == {urlsplit(self.url).netloc}

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if not any(re.search(pattern, message.text) for pattern in self._expected):
            self._errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        self._hosts.add(urlsplit(request.url).netloc)


class Sale:
    """One event on the page."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.form = root.locator("form")
        self.buy_button = self.form.locator(".act")
        self.badge = root.locator(".badge")
        self.refusal = root.locator(".refusal")
        self.waiting = root.locator(".waiting")
        self.done = root.locator(".done")

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
