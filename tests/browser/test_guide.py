"""The guide's snippet for browsers shows the stock as it changes, on a page of soldout's origin."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.docs.snippets import blocks
from tests.harness import Soldout

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "4-looking-on.md"


def test_the_number_on_a_page_follows_the_stock_and_its_name_the_event(
    browser: Browser, soldout: Soldout
) -> None:
    (snippet,) = blocks(PAGE.read_text(), "js")
    soldout.put_event("recital", capacity=20)
    context = browser.new_context()
    page = context.new_page()
    page.goto(soldout.url)
    page.evaluate("document.body.innerHTML = '<h1 id=name></h1><p id=left></p>'")
    page.evaluate(snippet.text)
    expect(page.locator("#left")).to_have_text("20 of 20 left")
    assert soldout.buy("recital", 3).status_code == 201
    expect(page.locator("#left")).to_have_text("17 of 20 left")
    expect(page.locator("#name")).to_have_text("recital")
    soldout.put_event("recital", capacity=20, name="The recital")
    expect(page.locator("#name")).to_have_text("The recital")
    context.close()
