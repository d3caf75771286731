"""What the client sends, to whom, and what it takes for an answer."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from service.client import Client, NotSettled, Unavailable, UnexpectedAnswer
from tests.client.scripted import ORDER, Answer, Script, not_settled, sold
from tests.harness import free_port


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
