"""The stream of stock: whoever looks on is told every change, and holds nobody up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import STANDING, VIP, Visitor, check_problem
from tests.harness import STOP_SECONDS, Soldout, alive, serving, wait_until
from tests.onlooker import Onlooker, looking, wait_a_round

LATE_SECONDS = 0.2  # by which one look may be, on a busy machine
ROOM = 1_200  # streams of the narrow service; more than the connections that its buyers may have


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    """A service with one web process, room for few purchases, and for more streams than buyers."""
    folder = tmp_path_factory.mktemp("narrow")
    with serving(folder / "data", web_processes=1, max_in_flight=1, streams_max=ROOM) as service:
        yield service


def test_whoever_looks_on_is_told_how_things_stand_and_then_every_change(
    soldout: Soldout, visitor: Visitor, small: str
) -> None:
    with looking(soldout.port) as onlooker:
        assert onlooker.status == 200
        onlooker.until(small, remaining=3)
        visitor.buy(small, 2)
        entry = onlooker.until(small, remaining=1)
        assert entry.pop("as_of")
        stock = visitor.stock(small)
        del stock["as_of"]
        assert entry == stock
        soldout.admin("POST", f"/events/{small}/pause")
        assert onlooker.until(small, status="paused")["remaining"] == 1


def test_whoever_looks_on_is_told_that_a_price_or_a_time_has_changed(
    soldout: Soldout, visitor: Visitor, event: str
) -> None:
    """And where it is told, everything else that speaks of the event says the same."""
    changes: list[dict[str, Any]] = [
        {"ticket_types": [STANDING, {**VIP, "price": {"amount": 9800, "currency": "EUR"}}]},
        {"name": "The ball"},
        {"closes_at": "2099-12-31T20:00:00Z"},
        {"max_per_order": 4},
        {"max_per_buyer": 4},
        {"opens_at": "2099-01-01T20:00:00Z"},
        {"opens_at": "2099-01-02T20:00:00Z"},
    ]
    said = {"name": "The gala", "ticket_types": [STANDING, VIP]}
    with looking(soldout.port, f"?event={event}") as onlooker:
        seen = [onlooker.told().entry["terms"]]
        for change in changes:
            said |= change
            assert soldout.put_event(event, **said)["terms"] not in seen
            told = onlooker.told().entry
            seen.append(told["terms"])
            assert visitor.get(f"/events/{event}").json()["terms"] == told["terms"]
            assert visitor.stock(event) | {"as_of": ""} == told | {"as_of": ""}
            [listed] = [
                e for e in visitor.get("/remaining").json()["events"] if e["event"] == event
            ]
            assert listed["terms"] == told["terms"]
            await_page(visitor, told["terms"])
    assert len(set(seen)) == len(changes) + 1


def await_page(visitor: Visitor, terms: str) -> None:
    """Wait until the page of what is on sale, which is made a few times a second, says so too."""
    mark = f'data-terms="{terms}"'
    wait_until(lambda: mark in visitor.get("/").text, 20, "the page is made anew")


def test_terms_stay_the_same_whatever_is_sold_sized_or_paused(
    soldout: Soldout, visitor: Visitor, small: str
) -> None:
    with looking(soldout.port, f"?event={small}") as onlooker:
        terms = onlooker.told().entry["terms"]
        visitor.buy(small)
        assert onlooker.until(small, sold=1)["terms"] == terms
        soldout.put_event(small, capacity=9)
        assert onlooker.until(small, capacity=9)["terms"] == terms
        soldout.admin("POST", f"/events/{small}/pause")
        assert onlooker.until(small, status="paused")["terms"] == terms


def test_the_stream_says_what_proxies_and_browsers_need_to_know(soldout: Soldout) -> None:
    with looking(soldout.port) as onlooker:
        assert onlooker.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert onlooker.headers["cache-control"] == "no-store"
        assert onlooker.headers["x-accel-buffering"] == "no"
        assert onlooker.headers["x-content-type-options"] == "nosniff"
        assert onlooker.headers["content-security-policy"].startswith("default-src 'none'")
        assert onlooker.headers["connection"] == "close"
        assert "content-length" not in onlooker.headers
        field, milliseconds = onlooker.block().split(b": ")
        assert field == b"retry"
        assert 1_000 <= int(milliseconds) <= 3_000


def test_who_only_asks_for_the_streams_headers_gets_them(visitor: Visitor) -> None:
    head = visitor.ask("HEAD", "/remaining/stream")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"].startswith("text/event-stream")


def test_one_event_alone_can_be_looked_at(soldout: Soldout, visitor: Visitor, small: str) -> None:
    soldout.put_event("beside", capacity=1_000)
    with looking(soldout.port, f"?event={small}") as onlooker:
        assert onlooker.told().entry["event"] == small
        visitor.buy("beside")
        visitor.buy(small)
        told = onlooker.told().entry
        assert (told["event"], told["remaining"]) == (small, 2)


@pytest.mark.parametrize("query", ["?event=nowhere", "?event=", "?event=%00"])
def test_an_event_that_does_not_exist_has_no_stream(visitor: Visitor, query: str) -> None:
    check_problem(visitor.get(f"/remaining/stream{query}"), 404, "unknown-event")


def test_no_event_can_be_put_where_the_stream_is(admin: Visitor) -> None:
    answer = admin.put("/events/stream", {"capacity": 1})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "id"


def test_who_comes_back_is_told_what_changed_meanwhile_and_only_that(narrow: Soldout) -> None:
    for event in ("before", "after", "still"):
        narrow.put_event(event, capacity=50)
    with looking(narrow.port) as onlooker:
        while onlooker.told().id is None:
            pass
    narrow.buy("after")
    with looking(narrow.port, last_event_id=onlooker.last_id) as again:
        told = again.told()
        assert (told.entry["event"], told.entry["sold"]) == ("after", 1)
        wait_a_round(narrow.port)
        narrow.buy("before")
        assert again.told().entry["event"] == "before"


def test_an_id_still_counts_when_the_web_process_is_another_one(
    soldout: Soldout, narrow: Soldout
) -> None:
    narrow.put_event("lasting", capacity=50)
    with looking(narrow.port, "?event=lasting") as onlooker:
        onlooker.told()
        narrow.buy("lasting")
        onlooker.until("lasting", sold=1)
    web = narrow.family()["web"][0]
    os.kill(web, signal.SIGTERM)
    wait_until(lambda: not alive(web) and narrow.ready(), STOP_SECONDS, "another one serves")
    with looking(narrow.port, "?event=lasting", last_event_id=onlooker.last_id) as again:
        wait_a_round(narrow.port)
        narrow.buy("lasting")
        assert again.told().entry["sold"] == 2  # and not first once more what it knew


def test_a_rush_is_told_four_times_a_second_at_most_and_to_its_end(narrow: Soldout) -> None:
    narrow.put_event("rush", capacity=100_000)
    over = threading.Event()

    def buy() -> None:
        while not over.is_set():
            assert narrow.buy("rush").status_code in (201, 503)

    with looking(narrow.port, "?event=rush") as onlooker:
        buyers = [threading.Thread(target=buy) for _ in range(2)]
        for buyer in buyers:
            buyer.start()
        told = [onlooker.told().entry for _ in range(9)]
        over.set()
        for buyer in buyers:
            buyer.join()
        sold = narrow.audit("rush")["sold"]
        if told[-1]["sold"] < sold:
            told.append(onlooker.until("rush", sold=sold))
    numbers = [entry["sold"] for entry in told]
    assert numbers == sorted(set(numbers))
    times = [datetime.fromisoformat(entry["as_of"]).timestamp() for entry in told]
    assert times[-1] - times[0] >= 0.25 * (len(times) - 1) - LATE_SECONDS


def test_a_stream_in_which_nothing_happens_is_kept_open(narrow: Soldout) -> None:
    narrow.put_event("quiet", capacity=1)
    with looking(narrow.port, "?event=quiet") as onlooker:
        onlooker.told()
        assert onlooker.block() == b":"  # within LOOK_SECONDS, as the contract's proxies need


def test_as_many_look_on_as_there_is_room_for_and_the_next_is_told_to_come_again(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data", web_processes=1, streams_max=2) as service:
        visitor = Visitor(service.url)
        service.put_event("gala", capacity=5)
        with looking(service.port) as first, looking(service.port) as second:
            assert (first.status, second.status) == (200, 200)
            check_problem(visitor.get("/remaining/stream"), 503, "overloaded")
            first.close()
            wait_until(lambda: _has_room(service), 5, "who hangs up makes room")
        visitor.session.close()


def _has_room(service: Soldout) -> bool:
    with looking(service.port) as onlooker:
        return onlooker.status == 200


def test_who_looks_on_takes_no_connection_from_buyers(narrow: Soldout) -> None:
    """Buyers of this service have 1,002 connections, and as many streams are open besides."""
    narrow.put_event("crowded", capacity=50)
    with ExitStack() as stack:
        crowd = [stack.enter_context(looking(narrow.port, "?event=crowded")) for _ in range(1_100)]
        assert {onlooker.status for onlooker in crowd} == {200}
        assert narrow.buy("crowded", 3).status_code == 201
        for onlooker in crowd:
            onlooker.until("crowded", remaining=47)


def test_who_does_not_read_holds_nobody_up_and_later_finds_how_things_stand(
    narrow: Soldout,
) -> None:
    """A stock of many types fills what the kernel keeps for a stream after a few changes."""
    types = [{"id": f"block-{number:03}", "capacity": 500} for number in range(100)]
    narrow.put_event("arena", ticket_types=types)
    changes = 30
    with looking(narrow.port, "?event=arena", buffer=4_096) as slow:
        with looking(narrow.port, "?event=arena") as quick:
            for count in range(1, changes + 1):
                assert narrow.buy("arena", ticket_type="block-000").status_code == 201
                quick.until("arena", sold=count)
        told: list[dict[str, Any]] = []
        while not told or told[-1]["sold"] < changes:
            told.append(slow.told().entry)
    assert len(told) < changes / 2  # the rest was not kept for it
    assert [entry["sold"] for entry in told] == sorted(entry["sold"] for entry in told)
    assert all(len(entry["ticket_types"]) == len(types) for entry in told)


def test_who_says_anything_more_on_a_stream_is_let_go(narrow: Soldout) -> None:
    narrow.put_event("talk", capacity=1)
    onlooker = Onlooker(narrow.port, "?event=talk")
    onlooker.told()
    onlooker._socket.sendall(b"GET /remaining HTTP/1.1\r\nHost: localhost\r\n\r\n")
    onlooker.until_ended()
    onlooker.close()
