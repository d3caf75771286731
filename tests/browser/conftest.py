"""A real browser, Debian's Chromium, and a running service for it to look at."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.office import Office
from tests.browser.shop import Shop
from tests.browser.visit import Visit
from tests.harness import Soldout, serving

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # the tests run as root, too
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ACTION_MS = 20_000  # for what a test waits for; machines may be busy

OpenShop = Callable[..., Shop]
OpenOffice = Callable[..., Office]


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    expect.set_options(timeout=ACTION_MS)
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(driver: Playwright) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail("the live page is tested in Chromium: apt-get install chromium", pytrace=False)
    browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def soldout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    """One service for all of these tests; a purchase that waits gets a 202 soon."""
    folder = tmp_path_factory.mktemp("browser")
    with serving(folder / "data", wait_seconds=0.5) as service:
        yield service


@pytest.fixture
def event(soldout: Soldout) -> str:
    """An event of the test's own, with 20 tickets."""
    name = f"gala-{secrets.token_hex(4)}"
    soldout.put_event(name, name="The gala", capacity=20)
    return name


AnyVisit = TypeVar("AnyVisit", bound=Visit)
OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(browser: Browser, soldout: Soldout) -> Iterator[OpenPage]:
    """Opens a page, each time as somebody else; looks at last whether all went well."""
    with ExitStack() as stack:

        def open_page(kind: type[AnyVisit], service: Soldout = soldout, **context: Any) -> AnyVisit:
            visitor = browser.new_context(**context)
            stack.callback(visitor.close)
            visitor.set_default_timeout(ACTION_MS)
            visit = kind(visitor.new_page(), service.url)
            # An answer in the service's place may be under way, and would fail the next test.
            stack.callback(visit.page.unroute_all, behavior="ignoreErrors")
            stack.callback(visit.check_nothing_went_wrong)  # before its context is closed
            return visit.visit()

        yield open_page


@pytest.fixture
def open_shop(open_page: OpenPage) -> OpenShop:
    """Opens the live page, each time as somebody else."""
    return partial(open_page, Shop)


@pytest.fixture
def open_office(open_page: OpenPage, soldout: Soldout) -> OpenOffice:
    """Opens the box office and signs in, each time as somebody else."""

    def open_office(service: Soldout = soldout, **context: Any) -> Office:
        office: Office = open_page(Office, service, **context)
        return office.sign_in(service.admin_key)

    return open_office


@pytest.fixture
def shop(open_shop: OpenShop) -> Shop:
    """The live page, opened by a new visitor."""
    return open_shop()
