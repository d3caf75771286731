"""The box office: who comes in, and what moves there by itself."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Route, expect

from tests.browser.conftest import OpenOffice, OpenPage
from tests.browser.office import Office, put
from tests.browser.shop import sell
from tests.faults.stopping import standing_still
from tests.harness import Soldout, serving

LOST = "Failed to load resource"


# --- the door ---


def test_a_wrong_key_is_said_to_be_wrong_and_the_right_one_opens(
    soldout: Soldout, open_page: OpenPage
) -> None:
    office: Office = open_page(Office).expecting(LOST)
    for wrong in ("not-a-key-of-this-service", "short", "ключ-из-другого-алфавита"):
        office.enter(wrong)
        expect(office.refusal("door")).to_have_text("This is not a key of this service.")
        expect(office.page.get_by_label("Administration key")).to_be_focused()
        expect(office.button("Sign out")).to_be_hidden()
        assert office.page.evaluate("sessionStorage.length") == 0
    office.sign_in(soldout.admin_key)
    expect(office.button("Sign out")).to_be_visible()


def test_the_key_is_kept_in_this_tab_alone_and_sent_as_a_header_alone(
    soldout: Soldout, open_page: OpenPage
) -> None:
    office: Office = open_page(Office)
    asked: list[tuple[str, bool]] = []
    office.page.on("request", lambda r: asked.append((r.url, soldout.admin_key in str(r.headers))))
    office.sign_in(soldout.admin_key)
    page = office.page
    assert soldout.admin_key not in "".join(url for url, _ in asked)
    assert all(with_key for url, with_key in asked if "/admin/now" in url)
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate("Object.values(sessionStorage)") == [soldout.admin_key]
    assert soldout.admin_key not in page.content()
    assert page.get_by_label("Administration key").input_value() == ""
    page.reload()
    office.live()
    neighbour = page.context.new_page()
    neighbour.goto(soldout.url + "/admin")
    expect(neighbour.get_by_label("Administration key")).to_be_focused()
    office.button("Sign out").click()
    expect(page.get_by_label("Administration key")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.get_by_label("Administration key")).to_be_focused()


def test_a_refusal_of_the_key_before_does_not_shut_out_the_right_one(
    soldout: Soldout, open_page: OpenPage
) -> None:
    office: Office = open_page(Office).expecting(LOST)
    slow: list[Route] = []

    def hold(route: Route) -> None:
        slow.append(route)

    office.page.route("**/admin/now", hold, times=1)
    with office.page.expect_request("**/admin/now"):
        office.enter("not-a-key-of-this-service")
    office.enter(soldout.admin_key)
    for route in slow:
        route.continue_()
    office.live()
    expect(office.button("Sign out")).to_be_visible()


def test_an_address_that_names_no_event_opens_the_office(
    soldout: Soldout, event: str, open_page: OpenPage
) -> None:
    office: Office = open_page(Office)
    office.page.goto(soldout.url + "/admin#sale-%E0")
    office.page.reload()
    office.sign_in(soldout.admin_key).choose(event)


def test_a_key_that_is_taken_away_shuts_the_door(open_office: OpenOffice) -> None:
    office = open_office().expecting(LOST)

    def refuse(route: Route) -> None:
        problem = '{"type": "/problems/forbidden", "status": 403, "detail": "No."}'
        route.fulfill(status=403, content_type="application/problem+json", body=problem)

    office.page.route("**/admin/now", refuse)
    expect(office.refusal("door")).to_have_text("This is not a key of this service.")
    expect(office.button("Sign out")).to_be_hidden()
    assert office.page.evaluate("sessionStorage.length") == 0


def test_the_page_itself_has_no_secret_and_asks_for_no_key(soldout: Soldout, event: str) -> None:
    page = requests.get(soldout.url + "/admin", timeout=10)
    assert page.status_code == 200
    assert event not in page.text
    assert soldout.admin_key not in page.text
    moved = requests.get(soldout.url + "/admin/", timeout=10, allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (308, "/admin")


# --- what moves by itself ---


def test_figures_and_curve_move_while_a_crowd_buys(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    office = open_office().choose(event)
    expect(office.page.locator("#curve .line")).to_have_count(0)
    for _ in range(5):
        sell(soldout, event, 4)
    assert soldout.buy(event).status_code == 409
    office.shows("event-sold", "20").shows("event-remaining", "0").says("Sold out")
    expect(office.page.locator("#curve .line.sold")).to_have_count(1)
    expect(office.figure("curve-read")).to_contain_text("20 tickets sold")
    expect(office.page.locator("#ticket .stamp")).to_be_visible()
    expect(office.page.locator("#announcer")).to_have_text("The gala: Sold out")
    expect(office.figure("n-batch")).to_have_text(re.compile(r"\d"))
    expect(office.figure("s-lock")).to_contain_text("99 % within")
    expect(office.page.locator("#rush .line.sold")).to_have_count(1)
    expect(office.orders()).to_have_count(5)
    office.page.reload()
    office.live()
    expect(office.figure("curve-read")).to_contain_text("20 tickets sold")


def test_rates_are_of_the_last_second_and_refusals_are_named(
    tmp_path: Path, open_office: OpenOffice
) -> None:
    with serving(tmp_path / "data", web_processes=1) as service:
        event = put(service, capacity=1)
        office = open_office(service).choose(event)
        office.shows("n-sold", "0").shows("n-refused", "0").shows("s-refused", "none just now")
        seen = office.page.evaluate_handle("""() => {
            const seen = {sold: new Set(), refused: new Set()};
            for (const name of ["sold", "refused"]) {
                const of = document.getElementById(`${name[0] === "s" ? "n" : "s"}-${name}`);
                new MutationObserver(() => seen[name].add(of.textContent))
                    .observe(of, {childList: true, characterData: true, subtree: true});
            }
            return seen;
        }""")
        sell(service, event)
        for _ in range(3):
            assert service.buy(event).status_code == 409
        office.shows("s-sold", "1 order since the start")
        told = "seen => [...seen.sold].some(n => Number(n) > 0) && [...seen.refused].join()"
        office.page.wait_for_function(f"({told})", arg=seen)
        assert "sold-out" in office.page.evaluate(told, seen)
        office.shows("n-sold", "0").shows("n-refused", "0")


def test_an_event_of_one_ticket_is_counted_in_whole_tickets_and_lists_few_rows(
    soldout: Soldout, open_office: OpenOffice
) -> None:
    event = put(soldout, capacity=1)
    office = open_office().choose(event)
    ticks = office.page.locator("#curve text[x='44']")
    expect(ticks).to_have_text(["0", "1"])
    empty = office.page.locator("#orders-scroll").bounding_box()
    assert empty is not None
    assert empty["height"] < 200
    sell(soldout, event)
    expect(office.figure("curve-read")).to_contain_text("1 ticket sold")
    expect(ticks).to_have_text(["0", "1"])
    assert office.page.locator("#orders-scroll").bounding_box() == empty


def test_the_words_below_the_curve_tell_as_many_tickets_as_the_event(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    """The curve itself is asked for every two seconds."""
    office = open_office().choose(event)
    sell(soldout, event, 4)
    expect(office.figure("curve-read")).to_contain_text("4 tickets sold")
    office.page.route("**/curve*", lambda _route: None)  # the next answer does not come
    sell(soldout, event, 3)
    office.shows("event-sold", "7")
    expect(office.figure("curve-read")).to_contain_text("7 tickets sold")


def test_what_the_pointer_or_the_arrow_keys_are_at_is_read(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    office = open_office().choose(event)
    for _ in range(4):
        soldout.buy(event, 2)
    read = office.figure("curve-read")
    expect(read).to_contain_text("8 tickets sold")
    curve = office.page.locator("#curve")
    expect(read).to_have_attribute("aria-live", "off")
    curve.focus()
    office.page.keyboard.press("ArrowLeft")
    expect(read).to_have_attribute("aria-live", "polite")
    expect(read).to_have_text(re.compile(r"\d\d:\d\d:\d\d: 8 sold\."))
    for _ in range(4):
        office.page.keyboard.press("ArrowLeft")
    expect(read).to_have_text(re.compile(r"\d\d:\d\d:\d\d: 2 sold\."))
    office.page.locator("h1").last.click()
    expect(read).to_contain_text("8 tickets sold")
    office.page.get_by_text("The same as a table").click()
    rows = office.page.locator("#curve-rows tr")
    assert [row.split("\t")[-1].strip() for row in rows.all_inner_texts()] == ["2", "4", "6", "8"]


def test_a_worker_that_stands_still_is_told(soldout: Soldout, open_office: OpenOffice) -> None:
    office = open_office()
    workers = office.page.locator("#workers tr")
    expect(workers).to_have_count(2)
    expect(workers.first).to_contain_text("worker 1")
    first, *others = soldout.family()["worker"]
    pids = workers.locator("td:nth-child(3)").all_inner_texts()
    assert sorted(pids) == sorted(map(str, [first, *others]))
    with standing_still(soldout.pid, first, *others):  # and nobody replaces them
        expect(workers.first).to_contain_text("stands still")
        expect(office.page.get_by_role("alert")).to_contain_text(["No worker is at work."])
    expect(workers.first).not_to_contain_text("stands still")


def test_a_ledger_that_cannot_be_read_is_told_and_what_was_seen_stays(
    event: str, open_office: OpenOffice
) -> None:
    office = open_office().choose(event)

    def unreadable(route: Route) -> None:
        told = route.fetch().json()
        route.fulfill(json=told | {"ledger": "unreadable", "events": [], "workers": []})

    office.page.route("**/admin/now", unreadable)
    expect(office.page.locator("#trouble")).to_contain_text("The ledger cannot be read")
    office.shows("event-id", event)
    office.page.unroute("**/admin/now")
    expect(office.page.locator("#trouble")).to_be_hidden()


def test_behind_a_balancer_each_host_is_compared_with_itself(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    """Two hosts with counters of their own answer in turn: what sold in neither is no sale."""
    office = open_office().choose(event)
    turns = itertools.cycle([("north", 0), ("south", 1_000_000)])

    def balance(route: Route) -> None:
        name, more = next(turns)
        told = route.fetch().json()
        host = told["this_host"]
        host["name"] = name
        host["purchases"]["sold"] += more
        route.fulfill(json=told | {"hosts": "many"})

    office.page.route("**/admin/now", balance)
    expect(office.figure("whose")).to_contain_text(re.compile("(north|south), (north|south)"))
    office.shows("n-sold", "0")
    soldout.buy(event)
    expect(office.figure("n-sold")).to_have_text(re.compile(r"0\.[1-9]|1|1\.\d"))
    expect(office.page.locator("#workers tr").first).to_contain_text(re.compile(r"\S+ 1"))


class Told:
    """What `/admin/now` says of this host, look by look; each look can be told by its queue."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._looks: list[dict[str, Any]] = []
        self._shown = 1000
        office.page.route("**/admin/now", self._answer)

    def look(self, start: int, clock_ms: int, sold: int) -> None:
        """Let one look be answered so, and wait until it shows."""
        self._shown += 1
        self._looks.append({"start": start, "clock_ms": clock_ms, "sold": sold, "n": self._shown})
        self._office.shows("n-queue", f"{self._shown:,}")

    def _answer(self, route: Route) -> None:
        told = route.fetch().json()
        wanted = self._looks[-1] if self._looks else None
        if wanted:
            told["clock_ms"] = wanted["clock_ms"]
            told["this_host"] |= {
                "started_at": f"2026-01-01T00:00:0{wanted['start']}.000Z",
                "in_flight": wanted["n"],
                "purchases": told["this_host"]["purchases"] | {"sold": wanted["sold"]},
            }
        route.fulfill(json=told)


def test_a_host_that_starts_anew_counts_once(event: str, open_office: OpenOffice) -> None:
    office = open_office().choose(event)
    told = Told(office)
    told.look(1, 1_000, 100)
    told.look(1, 2_000, 110)
    office.shows("n-sold", "10")
    told.look(2, 400, 0)
    told.look(2, 1_400, 12)
    office.shows("n-sold", "12")
    office.shows("s-sold", "12 orders since the start")


def test_a_look_that_was_shared_says_nothing_new(event: str, open_office: OpenOffice) -> None:
    office = open_office().choose(event)
    told = Told(office)
    told.look(1, 1_000, 100)
    told.look(1, 2_000, 110)
    told.look(1, 2_000, 110)
    office.shows("n-sold", "10")
    told.look(1, 1_900, 109)  # as another web process of the host saw it
    office.shows("n-sold", "10")
    told.look(1, 3_000, 125)
    office.shows("n-sold", "15")


def test_after_an_absence_the_last_second_is_one(event: str, open_office: OpenOffice) -> None:
    office = open_office().choose(event)
    office.page.clock.install()
    told = Told(office)
    told.look(1, 1_000, 100)
    told.look(1, 2_000, 110)
    office.shows("n-sold", "10")
    office.page.clock.fast_forward(60_000)
    told.look(1, 62_000, 6_110)
    office.shows("n-sold", "10")  # and not a hundred, the mean of a minute
    told.look(1, 63_000, 6_113)
    office.shows("n-sold", "3.0")


def test_a_connection_that_is_lost_is_told_and_comes_back_by_itself(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    office = open_office().choose(event).expecting(LOST)
    office.page.context.set_offline(True)
    expect(office.figure("link")).to_have_text("Reconnecting…")
    expect(office.banner).to_contain_text("The connection is lost")
    office.button("Pause the sale").click()
    expect(office.refusal("event")).to_contain_text("it is not known whether it was done")
    office.page.context.set_offline(False)
    office.live()
    expect(office.banner).to_be_hidden()
    soldout.buy(event, 3)
    office.shows("event-sold", "3")


def test_a_tab_that_nobody_sees_asks_for_nothing(
    soldout: Soldout, event: str, open_office: OpenOffice
) -> None:
    office = open_office()
    office.page.clock.install()
    office.page.reload()
    office.choose(event)
    office.page.evaluate("""() => {
        window.hide = hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        };
        const send = window.fetch;
        window.fetch = (...wanted) => {  // in the middle of a look
            window.fetch = send;
            window.hide(true);
            return send(...wanted);
        };
    }""")
    office.page.wait_for_function("() => document.hidden")
    asked: list[str] = []
    office.page.on("request", lambda request: asked.append(urlsplit(request.url).path))

    def a_minute_later() -> list[str]:
        asked.clear()
        for _ in range(3):
            office.page.clock.fast_forward(20_000)
            office.page.evaluate("fetch('/healthz').then(answer => answer.text())")
        return asked

    a_minute_later()  # what was under way ends
    assert a_minute_later() == ["/healthz"] * 3
    soldout.buy(event)
    office.page.evaluate("window.hide(false)")
    office.shows("event-sold", "1")


def test_what_people_wrote_is_text_and_nothing_else(
    soldout: Soldout, open_office: OpenOffice
) -> None:
    event = put(soldout, name="<b>Bold</b> & <img src=x onerror=alert(1)>")
    soldout.buy(event, buyer="<i>ann</i>")
    office = open_office().choose(event)
    office.shows("event-name", "<b>Bold</b> & <img src=x onerror=alert(1)>")
    expect(office.orders().locator(".who")).to_have_text("<i>ann</i>")


def test_of_several_events_one_is_chosen_and_stays_chosen(
    soldout: Soldout, open_office: OpenOffice
) -> None:
    one, other = put(soldout, name="One"), put(soldout, name="Other")
    orders = {event: soldout.buy(event).json()["id"] for event in (one, other)}
    office = open_office().choose(one)
    expect(office.orders()).to_have_attribute("data-order", orders[one])
    office.page.locator("#orders-scroll").hover()  # where it stands still
    row = office.page.locator(f"#events [data-event='{other}'] button")
    row.focus()
    slow: list[Route] = []

    def hold(route: Route) -> None:
        slow.append(route)

    office.page.route(f"**/events/{other}/orders*", hold)
    with office.page.expect_request(f"**/events/{other}/orders*"):
        office.page.keyboard.press("Enter")
    office.shows("event-id", other)
    expect(office.orders()).to_have_count(0)  # what was there is of another event
    for route in slow:
        route.continue_()
    expect(office.orders()).to_have_attribute("data-order", orders[other])
    expect(row).to_have_attribute("aria-current", "true")
    office.page.reload()
    office.live().shows("event-id", other)
