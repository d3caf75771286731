"""What a buyer gets when the network or the service fails: one order, or the truth about none."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from service.client import Client, SoldOut, Unavailable, UnexpectedAnswer, Unsettled
from tests.client.conftest import QuickClock
from tests.client.scripted import BUSY, DROP, KEY, ORDER, SILENCE, Answer, Script, problem, sold
from tests.harness import free_port

HTML_502 = Answer(502, b"<html><h1>502 Bad Gateway</h1></html>", media_type="text/html")


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
