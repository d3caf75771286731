"""The queue is bounded, waits end, and what is past its deadline is never sold."""

from __future__ import annotations

import select
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.faults.crowd import Wish
from tests.faults.line import Attempt, Line
from tests.faults.stopping import standing_still
from tests.harness import Soldout, serving, wait_until

WAIT_SECONDS = 1.5
DEADLINE_SECONDS = 3.0
IN_FLIGHT_MAX = 8


@pytest.fixture(scope="module")
def soldout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    """One web process and one worker: what is asked later is settled later."""
    with serving(
        tmp_path_factory.mktemp("queue") / "data",
        workers=1,
        web_processes=1,
        wait_seconds=WAIT_SECONDS,
        deadline_seconds=DEADLINE_SECONDS,
        max_in_flight=IN_FLIGHT_MAX,
    ) as service:
        yield service


@contextmanager
def nobody_settling(service: Soldout) -> Iterator[None]:
    """Stop the worker, and before it the supervisor, who would replace it."""
    with standing_still(service.pid, *service.family()["worker"]):
        yield


class Waiting:
    """Purchases that are sent and not answered, each on a line of its own."""

    def __init__(self, service: Soldout, event: str, count: int, lines: ExitStack) -> None:
        self.wishes = [Wish(uuid.uuid4().hex, event, 1) for _ in range(count)]
        self._lines = [lines.enter_context(Line(service.port)) for _ in self.wishes]
        pairs = zip(self._lines, self.wishes, strict=True)
        self._sent = [line.send(wish.request()) for line, wish in pairs]

    @property
    def answered(self) -> bool:
        """Whether anybody has been answered."""
        return bool(select.select(self._lines, [], [], 0)[0])

    def answers(self) -> list[Attempt]:
        """Read everybody's answer."""
        return [line.read(sent) for line, sent in zip(self._lines, self._sent, strict=True)]


def in_flight(service: Soldout) -> int:
    """Return how many purchases wait for a worker; a full house is ready all the same."""
    count: int = service.admin("GET", "/admin/now").json()["this_host"]["in_flight"]
    return count


def order_at(service: Soldout, pending: Attempt) -> requests.Response:
    return requests.get(service.url + pending.headers["location"], timeout=5)


def expires_at(pending: Attempt) -> datetime:
    return datetime.fromisoformat(pending.said["expires_at"])


def check_pending(answer: Attempt, wish: Wish) -> None:
    said: dict[str, Any] = answer.said
    assert answer.status == 202, answer
    assert said.keys() == {"id", "status", "expires_at"}
    assert said["status"] == "pending"
    assert answer.headers["location"] == f"/orders/{said['id']}"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["idempotency-key"] == f'"{wish.key}"'


def test_a_full_queue_says_so_at_once_and_who_waits_in_it_is_told_202(
    service: Soldout, stadium: str
) -> None:
    key = uuid.uuid4().hex
    with ExitStack() as lines, nobody_settling(service):
        waiting = Waiting(service, stadium, IN_FLIGHT_MAX, lines)
        one_too_many = service.buy(stadium, 1, key)
        assert not waiting.answered, "the full queue kept somebody waiting as long as the queued"
        assert one_too_many.status_code == 503, one_too_many.text
        assert one_too_many.json()["type"] == "/problems/overloaded"
        assert one_too_many.headers["Retry-After"] == "1"
        assert one_too_many.headers["Idempotency-Key"] == f'"{key}"'
        assert requests.get(f"{service.url}/remaining/{stadium}", timeout=5).json()["sold"] == 0
        answers = waiting.answers()
    for answer, wish in zip(answers, waiting.wishes, strict=True):
        check_pending(answer, wish)

    for answer in answers:
        wait_until(lambda a=answer: order_at(service, a).status_code == 200, 5, "sold after all")  # type: ignore[misc]
    assert service.buy(stadium, 1, key).status_code == 201
    assert service.audit(stadium)["orders"] == IN_FLIGHT_MAX + 1


def test_past_its_deadline_a_purchase_is_never_sold_and_keeps_no_place_in_the_queue(
    service: Soldout, stadium: str
) -> None:
    """Some of them a worker has received already, the others wait for it."""
    with ExitStack() as lines, nobody_settling(service):
        waiting = Waiting(service, stadium, IN_FLIGHT_MAX, lines)
        answers = waiting.answers()
        for answer, wish in zip(answers, waiting.wishes, strict=True):
            check_pending(answer, wish)
            assert order_at(service, answer).json()["type"] == "/problems/not-settled"
        last = max(map(expires_at, answers))
        wait_until(lambda: datetime.now(UTC) > last, 4 * DEADLINE_SECONDS, "too late")

    wait_until(lambda: not in_flight(service), 10, "the queue is empty")
    wait_until(service.ready, 10, "the worker is back")
    with ExitStack() as lines:
        fit = Waiting(service, stadium, IN_FLIGHT_MAX, lines).answers()
    assert {answer.status for answer in fit} == {201}
    numbers = {answer.said["tickets"][0]["number"] for answer in fit}
    assert numbers == set(range(1, IN_FLIGHT_MAX + 1))
    assert {order_at(service, answer).status_code for answer in answers} == {404}
    assert service.audit(stadium)["orders"] == IN_FLIGHT_MAX

    again = service.buy(stadium, 1, waiting.wishes[0].key)  # a new wish to buy, under the old key
    assert again.status_code == 201
    assert again.json()["id"] == answers[0].said["id"]
    assert again.json()["tickets"][0]["number"] == IN_FLIGHT_MAX + 1
    assert "Idempotent-Replayed" not in again.headers


def test_a_sold_purchase_is_never_told_that_nothing_was_sold(
    service: Soldout, stadium: str
) -> None:
    """It is asked for again while the worker hangs, and is not sent before its deadline."""
    key = uuid.uuid4().hex
    sold = service.buy(stadium, 1, key)
    assert sold.status_code == 201
    with ExitStack() as lines, nobody_settling(service):
        Waiting(service, stadium, 1, lines).answers()  # its frame is under way, the next one waits
        again = requests.post(
            f"{service.url}/buy",
            json={"event": stadium, "quantity": 1},
            headers={"Idempotency-Key": key, "Prefer": f"wait={DEADLINE_SECONDS:.0f}"},
            timeout=4 * DEADLINE_SECONDS,
        )
    assert again.status_code in {202, 503}, again.text
    assert "Nothing was sold" not in again.text
    assert again.headers["Idempotency-Key"] == f'"{key}"'
    wait_until(service.ready, 5, "the worker is back")
    assert service.buy(stadium, 1, key).json() == sold.json()
