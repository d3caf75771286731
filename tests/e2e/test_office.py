"""What the operator of a sale is told: how it stands now, and how it went."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MOMENT, Visitor, check_problem
from tests.faults.stopping import standing_still
from tests.harness import serving, wait_until


def now(admin: Visitor) -> Any:
    answer = admin.get("/admin/now")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()


def event_of(told: Any, event: str) -> Any:
    [found] = [entry for entry in told["events"] if entry["event"] == event]
    return found


def curve(admin: Visitor, event: str, points: int = 200) -> Any:
    answer = admin.get(f"/events/{event}/curve?points={points}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_two_answers_tell_what_was_done_between_them(admin: Visitor, small: str) -> None:
    before = now(admin)
    admin.buy(small, 2)
    admin.post("/buy", {"event": small, "quantity": 2})
    told: list[Any] = []

    def seen() -> bool:
        told.append(now(admin))
        return bool(event_of(told[-1], small)["sold"] == 2)

    wait_until(seen, 10, "the sale")
    after, was = told[-1], before["this_host"]
    host = after["this_host"]
    counted = {name: n - was["purchases"][name] for name, n in host["purchases"].items()}
    assert {name: n for name, n in counted.items() if n} == {"sold": 1, "sold-out": 1}
    assert after["clock_ms"] > before["clock_ms"]
    for name in ("purchase_seconds", "batch_size", "lock_wait_seconds", "commit_seconds"):
        spread = host[name]
        assert spread["count"] == sum(spread["counts"]) > was[name]["count"]
        assert len(spread["counts"]) == len(spread["bounds"]) + 1
    assert host["batch_size"]["sum"] - was["batch_size"]["sum"] >= 2
    assert (host["web_processes"], host["workers_hung"]) == (2, 0)
    assert MOMENT.fullmatch(host["started_at"])


def test_it_tells_the_stock_by_name_the_workers_and_that_all_is_well(
    admin: Visitor, event: str
) -> None:
    wait_until(lambda: event in str(now(admin)), 10, "the event")
    told = now(admin)
    found = event_of(told, event)
    remaining = admin.stock(event)
    del remaining["as_of"]
    assert found == remaining | {"name": "The gala", "entries": 1}
    assert (told["hosts"], told["ledger"]) == ("one", "readable")
    assert (told["troubles"], told["shards"]) == ([], [])
    assert [worker["worker"] for worker in told["workers"]] == [1, 2]
    assert {w["host"] for w in told["workers"]} == {told["this_host"]["name"]}


def test_it_comes_packed_to_whoever_takes_it_so(admin: Visitor, event: str) -> None:
    packed = admin.get("/admin/now", Accept_Encoding="gzip")
    plain = admin.get("/admin/now", Accept_Encoding="identity")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert int(packed.headers["Content-Length"]) < len(packed.content) / 2
    assert packed.json().keys() == plain.json().keys()
    for told in (packed, plain):
        assert told.headers["Vary"] == "Accept-Encoding"
        assert told.headers["Cache-Control"] == "no-store"


def test_a_purchase_under_way_is_seen(tmp_path: Path) -> None:
    with serving(tmp_path / "data", workers=1, web_processes=1) as service:
        service.put_event("gala", capacity=3)
        admin = Visitor(service.url, service.admin_key)
        with standing_still(service.pid, *service.family()["worker"]):
            wish = {"event": "gala", "quantity": 1}
            assert admin.post("/buy", wish, Prefer="respond-async").status_code == 202
            wait_until(lambda: now(admin)["this_host"]["in_flight"] == 1, 10, "it")
            assert now(admin)["this_host"]["purchases"]["pending"] == 1
        wait_until(lambda: now(admin)["this_host"]["in_flight"] == 0, 10, "its end")
        admin.session.close()


def test_the_curve_tells_the_whole_sale_after_a_restart_too(tmp_path: Path) -> None:
    with serving(tmp_path / "data", web_processes=1) as service:
        service.put_event("gala", capacity=300)
        admin = Visitor(service.url, service.admin_key)
        assert curve(admin, "gala")["points"] == []
        orders = [admin.buy("gala", 2) for _ in range(40)]
        drawn = curve(admin, "gala")
        points = [(order["sold_at"], 2 * n) for n, order in enumerate(orders, 1)]
        assert [(point["at"], point["issued"]) for point in drawn["points"]] == points
        assert (drawn["capacity"], drawn["sold"], drawn["issued"]) == (300, 80, 80)
        assert MOMENT.fullmatch(drawn["as_of"])
        assert service.terminate() == 0
        service.start()
        admin.session.close()
        admin = Visitor(service.url, service.admin_key)
        assert curve(admin, "gala")["points"] == drawn["points"]
        admin.session.close()


def test_few_points_are_even_and_begin_and_end_with_the_sale(admin: Visitor, event: str) -> None:
    admin.put(f"/events/{event}", {"capacity": 100})
    orders = [admin.buy(event) for _ in range(70)]
    admin.post(f"/orders/{orders[10]['id']}/cancel")
    admin.post(f"/events/{event}/pause")
    drawn = curve(admin, event, 20)
    issued = [point["issued"] for point in drawn["points"]]
    assert issued == [1, *range(4, 69, 4), 70]
    assert (drawn["sold"], drawn["issued"]) == (69, 70)
    times = [datetime.fromisoformat(point["at"]) for point in drawn["points"]]
    assert times == sorted(times)


@pytest.mark.parametrize("points", ["many", "-1", "1.5", "", "9" * 16])
def test_a_number_of_points_that_is_none_is_refused(
    admin: Visitor, event: str, points: str
) -> None:
    check_problem(
        admin.get(f"/events/{event}/curve?points={points}"),
        422,
        "invalid-request",
        errors=[{"field": "points", "reason": "a whole number, not negative"}],
    )


def test_of_an_event_that_is_not_there_no_curve_is_drawn(admin: Visitor) -> None:
    check_problem(admin.get("/events/nothing/curve"), 404, "unknown-event")
