"""The people of the rush: lookers, and buyers of every temper.

In: the sale, which locust's master sends along with its users. Out: requests, and in `record` the
story of each: every purchase noted before it is sent, every answer and every look as it is heard.
"""

from __future__ import annotations

import itertools
import random
import time
import uuid
from typing import Any

import gevent
import msgspec
from locust import FastHttpUser

from loadtest.stories import (
    Answer,
    Order,
    Purchase,
    Record,
    Sale,
    TicketTypeOnSale,
    hear,
    read_look,
)

PATIENCE_SECONDS = 10.0  # twice what a service waits by default before it answers 202
IMPATIENCE_SECONDS = 0.5
TRIES = 20  # then a client goes home in doubt, and the referee asks for it in the end
LOOKS = 5  # for an order handed over; one that was refused is never found
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.1, 2.0
THINK_SECONDS, THINK_SECONDS_MAX = 0.2, 1.0
OPEN_FOR_CERTAIN_SECONDS = 1.0  # after the opening, for a request that was on its way
EVERY_STATUS = frozenset(range(100, 600))

record = Record()  # of the clients of this process; on a master, of all processes
client_numbers = itertools.count()


class Client(FastHttpUser):  # type: ignore[misc]  # mypy does not follow locust's types
    """Somebody in the crowd, with a random mind that the seed decides."""

    abstract = True
    network_timeout = PATIENCE_SECONDS
    connection_timeout = PATIENCE_SECONDS

    def on_start(self) -> None:
        """Learn what is on sale."""
        self.sale = msgspec.convert(self.environment.parsed_options.sale, Sale)
        process = self.environment.runner.worker_index
        self.mind = random.Random(f"{self.sale.seed}:{process}:{next(client_numbers)}")
        # Left to itself, the agent drops the body of an error that has not all arrived yet.
        self.client.client.valid_response_codes = EVERY_STATUS

    def wait_time(self) -> float:
        """Think for some seconds, between two looks or two purchases."""
        return self.mind.uniform(THINK_SECONDS, THINK_SECONDS_MAX)


class Looker(Client):
    """Watches what remains."""

    weight = 3

    def look(self) -> None:
        """Note what `GET /remaining` shows."""
        asked_at = time.monotonic()
        with self.client.get("/remaining", catch_response=True) as response:
            if not is_lost(response):
                look = read_look(response.status_code, response.content, self.sale.event, asked_at)
                record.looks.append(look)
                count_as(response, "/remaining", look.fault)

    tasks = (look,)


class Buyer(Client):
    """Buys, again and again; each purchase has a key of its own."""

    abstract = True

    def buy(self) -> None:
        """Note a purchase and pursue it to its end; a peer knows no keys, so ask it only once."""
        purchase = self.purchase_of(self.want())
        record.purchases.append(purchase)
        if self.sale.administered:
            self.pursue(purchase)
        else:
            self.ask(purchase)

    tasks = (buy,)

    def want(self) -> dict[str, int]:
        """Say how many tickets of which type: one."""
        return {self.choose().id: 1}

    def choose(self) -> TicketTypeOnSale:
        """Pick a ticket type as often as there are tickets of it."""
        kinds = self.sale.ticket_types
        return self.mind.choices(kinds, [kind.capacity for kind in kinds])[0]

    def pursue(self, purchase: Purchase) -> None:
        """Ask until the answer is certain, always with the same key."""
        for _ in range(TRIES):
            answer = self.ask(purchase)
            if answer.order or answer.refused:
                return
            gevent.sleep(min(max(answer.retry_after_seconds, PAUSE_SECONDS), PAUSE_SECONDS_MAX))

    def ask(self, purchase: Purchase, prefer: str = "") -> Answer:
        """Post a purchase once and note what is heard; a lost answer leaves it in doubt."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": purchase.key}
        open_at_seconds = self.sale.opens_at_seconds + OPEN_FOR_CERTAIN_SECONDS
        answer = purchase.ask(early=time.time() < open_at_seconds)
        with self.client.post(
            "/buy",
            data=msgspec.json.encode(purchase.body),
            headers=headers | ({"Prefer": prefer} if prefer else {}),
            catch_response=True,
        ) as response:
            if not is_lost(response):
                hear(answer, response.status_code, response.headers, response.content)
                count_as(response, f"/buy {answer.outcome}", answer.fault)
        return answer

    def purchase_of(self, wanted: dict[str, int]) -> Purchase:
        """Write a purchase in the shortest form that says what is wanted."""
        body: dict[str, Any] = {"event": self.sale.event, "buyer": f"{uuid.uuid4()}@example.com"}
        items = [{"ticket_type": kind, "quantity": number} for kind, number in wanted.items()]
        if len(items) > 1:
            body["items"] = items
        elif len(self.sale.ticket_types) > 1:
            body |= items[0]
        else:
            body["quantity"] = items[0]["quantity"]
        return Purchase(str(uuid.uuid4()), body, wanted)


class PatientBuyer(Buyer):
    """Wants one ticket, and asks until it is certain."""

    weight = 4


class GroupBuyer(Buyer):
    """Wants several tickets at once, often of several types: all or nothing."""

    weight = 3

    def want(self) -> dict[str, int]:
        """Say two to four tickets of one type, and perhaps one of each other type."""
        first, alone = self.choose(), self.mind.random() < 0.5
        others = [kind for kind in self.sale.ticket_types if kind != first and not alone]
        return {first.id: self.mind.randint(2, 4), **{kind.id: 1 for kind in others}}


class ImpatientBuyer(Buyer):
    """Clicks twice, gives up early, asks again after success; gets one order all the same."""

    weight = 3
    network_timeout = IMPATIENCE_SECONDS

    def pursue(self, purchase: Purchase) -> None:
        """Ask twice at once, then until it is certain, and once more when it is sold."""
        twins = [gevent.spawn(self.ask, purchase) for _ in range(2)]
        try:
            gevent.joinall(twins, raise_error=True)
        finally:
            gevent.killall(twins)  # a user who is stopped shall not go on asking
        if purchase.in_doubt:
            super().pursue(purchase)
        if purchase.order:
            self.ask(purchase)


class AsyncBuyer(Buyer):
    """Does not wait for the result: hands the purchase over, and looks for the order later."""

    weight = 1

    def pursue(self, purchase: Purchase) -> None:
        """Hand over, look for the order by its id, and ask for it by its key as well."""
        answer = self.ask(purchase, prefer="respond-async")
        if answer.pending_id:
            self.look_for(answer.pending_id, purchase)
        if not answer.refused:
            super().pursue(purchase)

    def look_for(self, order_id: str, purchase: Purchase) -> None:
        """Read the order as soon as it is settled."""
        for _ in range(LOOKS):
            gevent.sleep(PAUSE_SECONDS)
            asked_at = time.monotonic()
            with self.client.get(f"/orders/{order_id}", catch_response=True) as response:
                if is_lost(response):
                    continue
                found = response.status_code == 200
                known = found or response.status_code in (404, 503)
                count_as(response, "/orders/{id}", "" if known else "unexpected answer")
                if found:
                    order = msgspec.json.decode(response.content, type=Order)
                    read = Answer(status=200, order=order, replayed=True)
                    read.asked_at, read.heard_at = asked_at, time.monotonic()
                    purchase.answers.append(read)
                    return


class EarlyBird(Buyer):
    """Is there before the opening, and sends one purchase again and again until it is sold."""

    weight = 1

    def pursue(self, purchase: Purchase) -> None:
        """Ask on through the refusals: they are not remembered, and the same key may sell later."""
        while not purchase.order and self.ask(purchase).problem != "sold-out":
            gevent.sleep(PAUSE_SECONDS)


BEFORE_THE_RUSH: list[type[Client]] = [Looker, EarlyBird]
EVERYONE = [*BEFORE_THE_RUSH, PatientBuyer, GroupBuyer, ImpatientBuyer, AsyncBuyer]


def is_lost(response: Any) -> bool:
    """Say whether no answer came; that is no failure yet, because the key will tell."""
    if response.request_meta["exception"] is None:
        return False
    path = response.request_meta["name"].partition("?")[0]
    count_as(response, f"{path} no answer", fault="")
    return True


def count_as(response: Any, name: str, fault: str) -> None:
    """Count a request in locust's statistics under what came of it."""
    response.request_meta["name"] = name
    if fault:
        response.failure(fault)
    else:
        response.success()
