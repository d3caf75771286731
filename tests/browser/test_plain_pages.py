"""The pages that only tell: `/problems/` and `/docs` use the screen that there is."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, ViewportSize

from tests.harness import Soldout

READABLE_PX = 700
SCREENS: dict[str, ViewportSize] = {
    "desk": {"width": 1280, "height": 800},
    "phone": {"width": 375, "height": 812},
}


@pytest.mark.parametrize("path", ["/problems/", "/problems/sold-out", "/docs"])
def test_the_text_has_the_room_of_the_screen_and_stays_in_it(
    browser: Browser, soldout: Soldout, path: str
) -> None:
    for name, screen in SCREENS.items():
        page = browser.new_page(viewport=screen)
        page.goto(soldout.url + path)
        text = page.get_by_role("main").bounding_box()
        assert text is not None
        assert text["width"] >= (READABLE_PX if name == "desk" else screen["width"])
        assert page.evaluate("document.documentElement.scrollWidth") <= screen["width"]
        page.close()
