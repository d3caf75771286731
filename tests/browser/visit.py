"""A page that is open in the browser, and a watch over it: nothing goes wrong there unannounced."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

from tests.harness import wait_until


class Visit:
    """One visitor's page. Console errors must be announced with `expecting`."""

    path = "/"

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
        """Open the page."""
        self.page.goto(self.url + self.path)
        return self

    @property
    def banner(self) -> Locator:
        """What says that the connection is lost."""
        return self.page.locator("#banner")

    def live(self) -> Self:
        """Wait until the page is told what is new."""
        expect(self.page.locator("#link")).to_have_text("Live")
        return self

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for what the driver hands over, which it does only while it is waited for."""

        def holds() -> bool:
            self.page.wait_for_timeout(10)
            return bool(condition())

        wait_until(holds, 20, what)

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
        if request.url.startswith("http"):  # a blob is this page's own
            self._hosts.add(urlsplit(request.url).netloc)
