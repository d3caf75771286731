"""How long the client waits and tries, and how it follows a purchase that is pending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.client import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_MAX_SECONDS,
    Client,
    NotSettled,
    SoldOut,
    Unsettled,
)
from tests.client.conftest import QuickClock
from tests.client.scripted import (
    BUSY,
    DROP,
    KEY,
    ORDER,
    Answer,
    Script,
    not_settled,
    pending,
    problem,
    sold,
)


def test_the_client_waits_as_long_as_retry_after_says(
    client: Client, script: Script, clock: QuickClock
) -> None:
    script.play(problem(503, "overloaded", "7"), sold())
    client.buy("gala")
    assert len(clock.pauses) == 1
    assert 7 <= clock.pauses[0] <= 7 + BACKOFF_FIRST_SECONDS


def test_retry_after_may_be_a_date(client: Client, script: Script, clock: QuickClock) -> None:
    later = datetime.now(UTC) + timedelta(seconds=20)
    script.play(problem(503, "unavailable", format_datetime(later, usegmt=True)), sold())
    client.buy("gala")
    assert 10 < clock.pauses[0] < 21


def test_a_retry_after_that_says_nothing_is_not_waited_for(
    client: Client, script: Script, clock: QuickClock
) -> None:
    script.play(problem(503, "unavailable", "soon"), sold())
    client.buy("gala")
    assert clock.pauses[0] <= BACKOFF_FIRST_SECONDS


def test_pauses_double_differ_and_stay_bounded(script: Script, clock: QuickClock) -> None:
    script.play(*[DROP] * 40, sold())
    with Client(script.url, patience_seconds=1_000, clock=clock) as client:
        client.buy("gala")
    bounds = [min(BACKOFF_FIRST_SECONDS * 2**n, BACKOFF_MAX_SECONDS) for n in range(40)]
    assert all(b / 2 <= pause <= b for pause, b in zip(clock.pauses, bounds, strict=True))
    assert len(set(clock.pauses)) == 40


def test_a_retry_after_beyond_patience_is_not_waited_for(
    client: Client, script: Script, clock: QuickClock
) -> None:
    script.play(problem(503, "unavailable", "3600", detail="the ledger is away"))
    with pytest.raises(Unsettled, match="the ledger is away"):
        client.buy("gala")
    assert clock.pauses == []


def test_patience_bounds_all_pauses_together(script: Script, clock: QuickClock) -> None:
    script.play(*[BUSY] * 5)  # four pauses of 2 s and a little fit into 9 s, five do not
    with (
        Client(script.url, patience_seconds=9, clock=clock) as client,
        pytest.raises(Unsettled, match="the queue is full") as unknown,
    ):
        client.buy("gala", key=KEY)
    assert clock.now <= 9
    assert unknown.value.key == KEY
    assert unknown.value.retry_after_seconds == 2


def test_no_patience_is_one_attempt(script: Script) -> None:
    script.play(BUSY)
    with Client(script.url, patience_seconds=0) as client, pytest.raises(Unsettled):
        client.buy("gala")


# --- not settled yet ---


def test_a_pending_purchase_is_followed_to_its_order(
    client: Client, script: Script, clock: QuickClock
) -> None:
    script.play(pending("3"), Answer(200, ORDER))
    assert client.buy("gala").id == ORDER["id"]
    assert [(r.method, r.path) for r in script.seen] == [
        ("POST", "/buy"),
        ("GET", f"/orders/{ORDER['id']}"),
    ]
    assert clock.pauses[0] >= 3


def test_a_pending_purchase_that_nobody_knows_is_asked_for_again_under_its_key(
    client: Client, script: Script
) -> None:
    script.play(pending(), not_settled(), pending(), not_settled(), sold())
    assert client.buy("gala", key=KEY, wait_seconds=0).id == ORDER["id"]
    posts = [request for request in script.seen if request.method == "POST"]
    assert script.keys == [f'"{KEY}"'] * 3
    # Not to wait is a wish for the hand-over only: who asks again wants to know.
    assert [p.headers.get("Prefer") for p in posts] == ["respond-async", None, None]


def test_a_pending_purchase_that_is_refused_says_so(client: Client, script: Script) -> None:
    script.play(pending(), not_settled(), problem(409, "sold-out", remaining=0, held=0))
    with pytest.raises(SoldOut):
        client.buy("gala")


def test_a_purchase_still_pending_at_the_end_carries_what_it_takes_to_go_on(
    script: Script, clock: QuickClock
) -> None:
    script.play(pending(), not_settled(), pending("60"))
    with (
        Client(script.url, patience_seconds=30, clock=clock) as client,
        pytest.raises(Unsettled) as unknown,
    ):
        client.buy("gala", key=KEY)
    assert unknown.value.key == KEY
    assert unknown.value.pending is not None
    assert unknown.value.pending.id == ORDER["id"]
    assert unknown.value.pending.expires_at == datetime(2026, 11, 23, 9, 0, 30, tzinfo=UTC)


def test_a_wait_is_asked_of_the_service(client: Client, script: Script) -> None:
    script.play(sold())
    client.buy("gala", wait_seconds=3)
    assert script.seen[0].headers["Prefer"] == "wait=3"


def test_an_order_that_may_still_come_says_when_to_look_again(
    client: Client, script: Script
) -> None:
    script.play(not_settled("4"), not_settled(None))
    with pytest.raises(NotSettled) as early:
        client.order("01936b5e")
    assert early.value.retry_after_seconds == 4
    with pytest.raises(NotSettled) as final:
        client.order("01936b5e")
    assert final.value.retry_after_seconds is None
