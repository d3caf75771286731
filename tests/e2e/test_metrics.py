"""For whoever watches with Prometheus: `GET /metrics`, who may read it and what stands there."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Visitor, check_problem
from tests.harness import Soldout, serving, wait_until
from tests.scrape import Scrape, scrape


def test_the_page_says_what_was_told_and_what_is_left(
    soldout: Soldout, visitor: Visitor, small: str
) -> None:
    before = scrape(soldout.url)
    visitor.buy(small, 2)
    check_problem(
        visitor.post("/buy", {"event": small, "quantity": 2}),
        409,
        "sold-out",
        ticket_type="general",
        remaining=1,
        held=0,
    )
    assert scrape(soldout.url).purchases() - before.purchases() == {"sold": 1, "sold-out": 1}

    def stock(page: Scrape) -> list[float]:
        states = ("sold", "held", "remaining")
        return [page.value("soldout_tickets", event=small, state=state) for state in states]

    wait_until(lambda: stock(scrape(soldout.url)) == [2, 0, 1], 5, "the stock as it is now")
    page = scrape(soldout.url)
    assert page.value("soldout_tickets_capacity", event=small) == 3
    assert page.value("soldout_events") >= 1
    assert page.value("soldout_ledger_up") == 1
    assert page.value("soldout_workers") == 2
    assert page.value("soldout_web_processes_up") == 2


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"{", "malformed-request"),
        (b" " * 70_000, "too-large"),
        (b'{"event": "gala", "quantity": 0}', "invalid-request"),
        (b'{"event": "gala", "quantity": 1, "colour": "red"}', "invalid-request"),
    ],
)
def test_what_is_refused_before_a_worker_sees_it_is_counted_too(
    soldout: Soldout, visitor: Visitor, body: bytes, outcome: str
) -> None:
    before = scrape(soldout.url)
    slug = visitor.post("/buy", body).json()["type"].rpartition("/")[2]
    assert slug == outcome
    assert scrape(soldout.url).purchases() - before.purchases() == {outcome: 1}


def test_nobody_can_make_series_by_asking(soldout: Soldout, visitor: Visitor) -> None:
    before = set(scrape(soldout.url).series)
    for _ in range(20):
        name = f"nothing-{secrets.token_hex(8)}"
        visitor.post("/buy", {"event": name, "quantity": 1})
        visitor.get(f"/remaining/{name}")
        visitor.get(f"/{name}")
        visitor.ask("PROPFIND", f"/{name}")
    assert set(scrape(soldout.url).series) == before


def test_who_may_read_it_is_a_setting(tmp_path: Path) -> None:
    with serving(tmp_path / "data", metrics="admin") as service:
        visitor = Visitor(service.url)
        check_problem(visitor.get("/metrics"), 401, "unauthorized")
        check_problem(visitor.get("/metrics", Authorization="Bearer x" * 9), 403, "forbidden")
        assert scrape(service.url, Authorization=f"Bearer {service.admin_key}").series
        visitor.session.close()
    with serving(tmp_path / "data", metrics="off") as service:
        visitor = Visitor(service.url)
        check_problem(visitor.get("/metrics"), 404, "not-found")
        visitor.session.close()


@pytest.mark.long  # not for its time: it needs promtool, which a developer's machine may lack
def test_prometheus_own_tool_finds_nothing_to_say(soldout: Soldout, visitor: Visitor) -> None:
    text = visitor.get("/metrics").text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
