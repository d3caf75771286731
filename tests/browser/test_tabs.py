"""One purchase in several tabs: what one of them was told, no other one undoes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import OpenShop
from tests.browser.shop import Shop, check_bought_once, sell, tickets_of
from tests.browser.test_buying import LOST, OLD_MS, leave_an_old_purchase
from tests.harness import Soldout

ENDED = "This purchase was ended in another tab, and is not asked for any more."
AS_IF_WISHED_LATER = """ms => {
    const name = Object.keys(localStorage).find(name => name.startsWith("soldout.pending."));
    const purchase = JSON.parse(localStorage.getItem(name));
    localStorage.setItem(name, JSON.stringify({ ...purchase, at: purchase.at + ms }));
}"""


class Tab(Shop):
    """A tab whose asks are kept from the service until the test lets them go, or loses them."""

    def hold(self) -> Tab:
        """Keep all asks from now on."""
        self.asks: list[Route] = []
        self.holding = True
        self.page.route("**/buy", self._take)
        return self.expecting(LOST)

    @property
    def doubt(self) -> Locator:
        """What is asked about purchases that nobody answered, if there are any."""
        return self.page.get_by_role("region", name="Purchases without an answer")

    def lose(self, ask: Route) -> None:
        """Let the answer to an ask be lost, and the next ones reach the service."""
        self.holding = False
        ask.abort("connectionreset")

    def _take(self, route: Route) -> None:
        if self.holding:
            self.asks.append(route)
        else:
            route.continue_()

    def ask(self) -> Route:
        """Wait for the next ask that is kept."""
        self.until(lambda: self.asks, "an ask")
        return self.asks.pop(0)


@pytest.fixture
def tab(open_page: Callable[..., Tab]) -> Tab:
    return open_page(Tab).live().hold()


@pytest.fixture
def second_tab(tab: Tab) -> Iterator[Callable[[], Tab]]:
    """Opens the same visitor's second tab."""
    opened: list[Tab] = []

    def second_tab() -> Tab:
        opened.append(Tab(tab.page.context.new_page(), tab.url).hold())
        return opened[0].visit()

    yield second_tab
    for other in opened:
        other.page.unroute_all(behavior="ignoreErrors")
        other.check_nothing_went_wrong()


def test_what_one_tab_was_refused_another_does_not_buy_later(
    soldout: Soldout, event: str, tab: Tab, second_tab: Callable[[], Tab]
) -> None:
    """A cancel gives stock back, but its buyer may have bought elsewhere by then."""
    tab.sale(event).buy_button.click()
    first = tab.ask()
    other = second_tab()
    expect(other.sale(event).waiting).to_be_visible()
    lost = other.ask()
    sell(soldout, event, 20)
    first.continue_()
    expect(tab.sale(event).refusal).to_contain_text("Nothing was bought.")
    [order] = soldout.admin("GET", f"/events/{event}/orders").json()["orders"]
    assert soldout.admin("POST", f"/orders/{order['id']}/cancel").status_code == 200
    other.lose(lost)
    expect(other.sale(event).refusal).to_have_text(ENDED)
    expect(other.sale(event).buy_button).to_be_visible()
    assert soldout.audit(event)["sold"] == 0


def test_what_one_tab_has_bought_another_shows(
    soldout: Soldout, event: str, tab: Tab, second_tab: Callable[[], Tab]
) -> None:
    tab.sale(event).buy_button.click()
    first = tab.ask()
    other = second_tab()
    lost = other.ask()
    first.continue_()
    tickets = tab.sale(event).sold()
    other.lose(lost)
    assert other.sale(event).sold() == tickets == tickets_of(soldout, event)
    expect(other.orders).to_have_count(1)
    check_bought_once(soldout, event)


def test_a_purchase_that_is_forgotten_in_one_tab_is_not_asked_for_in_another(
    soldout: Soldout, event: str, tab: Tab, second_tab: Callable[[], Tab]
) -> None:
    leave_an_old_purchase(tab, event)
    other = second_tab()
    tab.doubt.get_by_role("button", name="Ask again").click()
    lost = tab.ask()
    other.doubt.get_by_role("button", name="Forget it").click()
    expect(other.doubt).to_have_count(0)
    tab.lose(lost)
    expect(tab.sale(event).refusal).to_have_text(ENDED)
    assert soldout.audit(event)["sold"] == 0


def test_what_one_tab_found_out_no_other_tab_is_in_doubt_about(
    event: str, tab: Tab, second_tab: Callable[[], Tab]
) -> None:
    leave_an_old_purchase(tab, event)
    other = second_tab()
    expect(other.doubt).to_contain_text("was never answered")
    tab.doubt.get_by_role("button", name="Ask again").click()
    tab.ask().continue_()
    tab.sale(event).sold()
    expect(other.doubt).to_have_count(0)
    expect(other.orders).to_have_count(1)


def test_a_purchase_that_is_wanted_still_in_another_tab_does_not_grow_old_here(
    event: str, tab: Tab
) -> None:
    tab.page.clock.install()
    tab.sale(event).buy_button.click()
    tab.ask().fulfill(status=503, headers={"Retry-After": "60"}, body="")
    expect(tab.sale(event).waiting).to_contain_text("We ask again")
    tab.page.evaluate(AS_IF_WISHED_LATER, OLD_MS)
    tab.page.clock.fast_forward(OLD_MS)
    tab.ask().continue_()
    tab.sale(event).sold()


@pytest.mark.parametrize(
    "refusing",
    [
        "Storage.prototype.setItem = () => { throw new Error('full'); }",
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })",
    ],
    ids=["full", "forbidden"],
)
def test_where_a_browser_keeps_nothing_a_lost_answer_is_asked_for_again_all_the_same(
    soldout: Soldout, event: str, open_shop: OpenShop, refusing: str
) -> None:
    shop = open_shop().expecting(LOST)
    shop.page.add_init_script(refusing)
    shop.page.reload()
    keys: list[str] = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.abort("connectionreset")
        else:
            route.continue_()

    shop.page.route("**/buy", lose_the_first)
    shop.sale(event).buy_button.click()
    assert shop.sale(event).sold() == tickets_of(soldout, event)
    assert keys == [keys[0]] * 2
    expect(shop.orders).to_have_count(1)
