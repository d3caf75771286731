"""The referee's own errands: what is in doubt is asked for until it is certain how it ended."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier, Timer
from urllib.parse import parse_qs, urlsplit

import pytest

from loadtest import referee as rules
from loadtest.referee import Referee
from loadtest.stories import Purchase
from tests.client.scripted import ORDER, Answer, Script, not_settled, playing, problem

KEY = "a key/with what&addresses part"
BUSY = problem(503, "overloaded", "0.1")


@pytest.fixture
def script() -> Iterator[Script]:
    with playing() as script:
        yield script


@pytest.fixture
def referee(script: Script) -> Iterator[Referee]:
    with closing(Referee(script.url, "a-key")) as referee:
        yield referee


def test_errands_that_run_at_once_share_no_session(referee: Referee) -> None:
    together = Barrier(2)

    def errand(_: int) -> int:
        together.wait()
        return id(referee.session)

    with ThreadPoolExecutor(2) as threads:
        assert len(set(threads.map(errand, range(2)))) == 2


@pytest.fixture
def in_doubt(monkeypatch: pytest.MonkeyPatch) -> Purchase:
    """A purchase of a run that was asked for once in vain; the referee asks for it once more."""
    monkeypatch.setattr(rules, "IN_DOUBT_SECONDS", rules.PAUSE_SECONDS / 2)
    monkeypatch.setattr(rules, "CERTAIN_AFTER_SECONDS", 2.0)
    purchase = Purchase(KEY, {"event": "gala", "quantity": 1}, {"general": 1})
    purchase.ask()
    return purchase


def test_what_may_still_be_sold_when_it_was_asked_for_last_is_waited_for(
    script: Script, referee: Referee, in_doubt: Purchase
) -> None:
    """Each request has a deadline of its own: the books are final after that of the last one."""
    script.play(BUSY, not_settled())
    sale = Timer(0.6, script.play, [Answer(200, ORDER)])  # long after it was asked for
    sale.start()
    assert referee.settle([in_doubt]) == 1
    sale.join()
    assert in_doubt.order is not None
    assert in_doubt.order.id == ORDER["id"]
    assert [request.method for request in script.seen] == ["POST", "GET"]
    assert parse_qs(urlsplit(script.seen[-1].path).query) == {"key": [KEY]}


def test_what_was_not_sold_by_then_stays_without_an_outcome(
    script: Script, referee: Referee, in_doubt: Purchase
) -> None:
    script.play(BUSY, not_settled())
    referee.settle([in_doubt])
    assert [answer.outcome for answer in in_doubt.answers] == ["no answer", "overloaded"]


def test_nothing_is_waited_for_when_all_is_certain(
    script: Script, referee: Referee, in_doubt: Purchase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "CERTAIN_AFTER_SECONDS", math.inf)  # which no sleep takes
    script.play(Answer(201, ORDER))
    referee.settle([in_doubt])
    assert in_doubt.order is not None
