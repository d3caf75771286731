"""What a buyer gets when the network or the service fails: one order, or the truth about none."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.client import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_MAX_SECONDS,
    Client,
    NotSettled,
    SoldOut,
    Unavailable,
    UnexpectedAnswer,
    Unsettled,
)
from tests.client.conftest import QuickClock
from tests.client.scripted import (
    DROP,
    ORDER,
    PENDING,
    SILENCE,
    Answer,
    Script,
    problem,
    sold,
)
from tests.harness import free_port

KEY = "the-key-of-this-purchase"
HTML_502 = Answer(502, b"<html><h1>502 Bad Gateway</h1></html>", media_type="text/html")
BUSY = problem(503, "overloaded", "2", detail="the queue is full")


def pending(retry_after: str = "1") -> Answer:
    return Answer(202, PENDING, {"Retry-After": retry_after})


def not_settled(retry_after: str | None = "1") -> Answer:
    return problem(404, "not-settled", retry_after)


@pytest.mark.parametrize("fault", [BUSY, DROP, HTML_502, problem(500, "internal-error")])
def test_a_purchase_that_met_a_fault_is_sent_again_under_the_same_key(
    client: Client, script: Script, fault: Answer | str
) -> None:
    script.play(fault, fault, sold())
    assert client.buy("gala").id == ORDER["id"]
    assert len(script.keys) == 3
    assert len(set(script.keys)) == 1
    assert len({request.body for request in script.seen}) == 1


def test_a_purchase_that_timed_out_is_sent_again_under_the_same_key(
    script: Script, clock: QuickClock
) -> None:
    script.play(SILENCE, sold())
    with Client(script.url, timeout_seconds=0.2, clock=clock) as client:
        assert client.buy("gala").id == ORDER["id"]
    assert len(script.keys) == 2
    assert len(set(script.keys)) == 1


def test_an_answer_that_was_cut_short_is_asked_for_again(client: Client, script: Script) -> None:
    whole = sold().content()
    script.play(Answer(201, whole[:40], {"Content-Length": str(len(whole))}), sold())
    assert client.buy("gala").id == ORDER["id"]
    assert len(set(script.keys)) == 1


def test_the_key_of_the_buyer_is_the_key_that_is_sent(client: Client, script: Script) -> None:
    script.play(DROP, sold())
    client.buy("gala", key=KEY)
    assert script.keys == [f'"{KEY}"'] * 2


def test_two_purchases_have_two_keys(client: Client, script: Script) -> None:
    script.play(sold(), sold())
    client.buy("gala")
    client.buy("gala")
    assert len(set(script.keys)) == 2


@pytest.mark.parametrize("key", ["short", "x" * 256, "with a space in it", "nöt-ascii-but-long"])
def test_a_key_that_no_service_takes_is_refused_before_anything_is_sent(
    client: Client, key: str
) -> None:
    with pytest.raises(ValueError, match="16 to 255 visible ASCII"):
        client.buy("gala", key=key)


def test_a_refusal_is_final(client: Client, script: Script) -> None:
    script.play(problem(409, "sold-out", remaining=1, held=2))
    with pytest.raises(SoldOut) as refusal:
        client.buy("gala", 3, key=KEY)
    assert refusal.value.key == KEY
    assert len(script.seen) == 1


# --- pauses ---


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


# --- nobody there, or somebody else ---


def test_a_service_that_is_not_there_is_unavailable_and_nothing_was_bought() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with (
        Client(url, patience_seconds=0) as client,
        pytest.raises(Unavailable, match=f"cannot reach {url}: Connection refused") as nobody,
    ):
        client.buy("gala", key=KEY)
    assert not isinstance(nobody.value, Unsettled)
    assert nobody.value.key == KEY


def test_a_service_that_takes_no_connection_is_unreachable_and_nothing_was_bought() -> None:
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # fill the queue of those who wait to be let in
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            Client(url, timeout_seconds=0.2, patience_seconds=0) as client,
            pytest.raises(Unavailable, match="timed out") as nobody,
        ):
            client.buy("gala")
    assert not isinstance(nobody.value, Unsettled)


def test_a_purchase_that_may_have_arrived_once_is_not_called_unreachable_later(
    script: Script,
) -> None:
    """The first attempt is lost under way; the service is gone when the others come."""

    class Departure(QuickClock):
        def sleep(self, seconds: float, /) -> None:
            super().sleep(seconds)
            script.stop()

    script.play(DROP)
    with (
        Client(script.url, clock=Departure()) as client,
        pytest.raises(Unsettled, match="Connection refused"),
    ):
        client.buy("gala")


def test_a_proxys_html_is_named_as_such(script: Script) -> None:
    script.play(HTML_502)
    with (
        Client(script.url, patience_seconds=0) as client,
        pytest.raises(Unavailable, match=r"502 Bad Gateway \(text/html\) from a proxy"),
    ):
        client.remaining()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>Welcome to the hotel's network</html>", media_type="text/html"),
        Answer(404, b"<html>Not here</html>", media_type="text/html"),
        Answer(404, b"not JSON, though it says so", media_type="application/problem+json"),
        Answer(302, b"", {"Location": "https://elsewhere.example/"}),
        Answer(500, {"error": "oops"}),
        Answer(200, {"not": "an order"}),
    ],
)
def test_what_does_not_speak_like_soldout_is_named_and_never_read_as_a_refusal(
    client: Client, script: Script, answer: Answer
) -> None:
    script.play(answer, answer)
    with pytest.raises(UnexpectedAnswer, match=f"{answer.status} .*{script.url}/orders/x"):
        client.order("x")
    with pytest.raises(Unsettled, match="it is unknown whether this purchase was sold"):
        client.buy("gala")


# --- the wire ---


def test_members_that_a_later_service_adds_are_ignored(client: Client, script: Script) -> None:
    ticket = {**ORDER["tickets"][0], "seat": "A1"}
    script.play(Answer(201, {**ORDER, "gift": True, "tickets": [ticket]}))
    assert client.buy("gala").tickets[0].number == 17


def test_the_administrations_key_goes_with_the_administrations_requests_only(
    client: Client,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A ~/.netrc for the same host must change neither; requests would read it."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password wrong\n")
    monkeypatch.setenv("NETRC", str(netrc))
    script.play(sold(), Answer(200, ORDER))
    client.buy("gala")
    client.cancel_order("x")
    assert "Authorization" not in script.seen[0].headers
    assert script.seen[1].headers["Authorization"] == "Bearer secret"


def test_one_connection_serves_many_purchases(client: Client, script: Script) -> None:
    script.play(*[sold()] * 5)
    for _ in range(5):
        client.buy("gala")
    assert script.connections == 1


def test_making_a_client_asks_nobody() -> None:
    with Client(f"http://127.0.0.1:{free_port()}"):
        pass


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://a:b", ""])
def test_an_address_that_is_none_is_refused_when_the_client_is_made(url: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Client(url)


def test_names_cannot_leave_their_place_in_the_path(client: Client, script: Script) -> None:
    script.play(not_settled())
    with pytest.raises(NotSettled):
        client.order("../events/gala/audit?x=1")
    assert script.seen[0].path == "/orders/..%2Fevents%2Fgala%2Faudit%3Fx%3D1"


def test_pages_are_followed_to_the_last_and_never_to_another_server(
    client: Client, script: Script
) -> None:
    page = {"orders": [ORDER]}
    script.play(
        Answer(200, page, {"Link": '</events/gala/orders?after=1>; rel="next"'}),
        Answer(200, page, {"Link": f'<{script.url}/events/gala/orders?after=2>; rel="next"'}),
        Answer(200, page),
        Answer(200, page, {"Link": '<http://127.0.0.2/events/gala/orders>; rel="next"'}),
    )
    assert len(list(client.orders("gala"))) == 3
    assert [r.path for r in script.seen[1:]] == [f"/events/gala/orders?after={n}" for n in (1, 2)]
    with pytest.raises(UnexpectedAnswer, match=r"leads to another server, http://127\.0\.0\.2"):
        list(client.orders("gala"))


def test_an_export_that_breaks_off_is_not_taken_for_whole(client: Client, script: Script) -> None:
    script.play(Answer(200, b"number,code\n", {"Content-Length": "999"}, "text/csv"))
    with pytest.raises(Unavailable, match="the export was cut"):
        list(client.orders_csv("gala"))


def test_opening_times_are_sent_in_utc_with_milliseconds(client: Client, script: Script) -> None:
    event = {"id": "gala", "name": "Gala", "status": "scheduled", "ticket_types": []}
    script.play(Answer(200, event))
    opens_at = datetime.fromisoformat("2026-11-23T10:00:00.5+01:00")
    client.put_event("gala", capacity=5, opens_at=opens_at, closes_at=None)
    assert json.loads(script.seen[0].body) == {
        "capacity": 5,
        "opens_at": "2026-11-23T09:00:00.500Z",
        "closes_at": None,
    }
    with pytest.raises(ValueError, match="zone"):
        client.put_event("gala", opens_at=datetime(2026, 11, 23))
