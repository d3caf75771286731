"""The load test's own errands at the server, apart from the crowd's.

Before the rush it opens a sale; after it, it asks again for every purchase in doubt, under its
key, and reads the books. A server without an administration (a peer) is taken as it is.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin

import msgspec
import requests

from loadtest.evidence import Audit, Books
from loadtest.stories import (
    Look,
    Money,
    Order,
    Purchase,
    Record,
    Sale,
    TicketTypeOnSale,
    hear,
    read_look,
)

TIMEOUT_SECONDS = 30  # an audit replays the whole journal
IN_DOUBT_SECONDS = 60  # for a service that is away or full to say how a purchase ended
CERTAIN_AFTER_SECONDS = 33  # from a request on: a service's default deadline, and 3 s to commit
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.1, 2.0
FRESH_SECONDS = 5.0  # `/remaining` may be 250 ms old
ERRANDS_AT_ONCE = 16
ORDERS_READ_BY_ID = 500  # a sample: the pages show all orders, this shows what a buyer reads

VIP_SHARE = 0.1
PRICES = {"standing": Money(2500, "EUR"), "vip": Money(9000, "EUR")}

T = TypeVar("T")


class RefereeError(RuntimeError):
    """The server did not let the referee do its errand; the text says which and why."""


class Referee:
    """Speaks to one server as its administration, and for its buyers when the rush is over."""

    def __init__(self, host: str, admin_key: str) -> None:
        self.host = host.rstrip("/")
        self._admin_key = admin_key
        self._mine = threading.local()
        self._sessions: list[requests.Session] = []

    def close(self) -> None:
        """Close the connections."""
        for session in self._sessions:
            session.close()

    @property
    def session(self) -> requests.Session:
        """This thread's own: `requests` does not promise that a session can be shared."""
        if not hasattr(self._mine, "session"):
            self._mine.session = requests.Session()
            self._mine.session.trust_env = False  # no proxy between the load test and its server
            self._mine.session.headers["Authorization"] = f"Bearer {self._admin_key}"
            self._sessions.append(self._mine.session)
        session: requests.Session = self._mine.session
        return session

    def open_sale(self, tickets: int, opens_at_seconds: float, seed: int) -> Sale:
        """Put `tickets` on sale under a new event id, or adopt what a peer has on sale."""
        vip = round(VIP_SHARE * tickets)
        stock = {"standing": tickets - vip, "vip": vip}
        kinds = tuple(TicketTypeOnSale(kind, stock[kind], price) for kind, price in PRICES.items())
        event = f"rush-{secrets.token_hex(4)}"
        opens_at = datetime.fromtimestamp(opens_at_seconds, UTC).isoformat(timespec="milliseconds")
        body = {"name": "Load test", "ticket_types": kinds, "opens_at": opens_at}
        answer = self._send("PUT", f"/events/{event}", body)
        if answer.status_code in (404, 405):
            return self._adopt_peer(seed)
        if answer.status_code in (401, 403):
            raise RefereeError(
                "the administration refuses our key: set SOLDOUT_ADMIN_KEY,"
                " or SOLDOUT_DATA_DIR to where the service keeps it"
            )
        if answer.status_code != 201:
            raise RefereeError(f"the sale does not open: {answer.status_code} {answer.text}")
        as_read = datetime.fromisoformat(opens_at).timestamp()  # by the server: in milliseconds
        return Sale(event, kinds, administered=True, seed=seed, opens_at_seconds=as_read)

    def _adopt_peer(self, seed: int) -> Sale:
        event = self._read("/remaining", dict[str, Any])["events"][0]["event"]
        look = self.look(event)
        if look.sold:
            raise RefereeError(
                "the peer has sold before, which would confuse the count: restart it"
            )
        kinds = tuple(TicketTypeOnSale(c.ticket_type, c.capacity) for c in look.ticket_types)
        return Sale(event, kinds, administered=False, seed=seed)

    def end_sale(self, event: str) -> None:
        """Close the event: nobody needs to see it among what is on sale."""
        answer = self._send("POST", f"/events/{event}/close")
        if answer.status_code != 200:
            raise RefereeError(f"the sale does not close: {answer.status_code} {answer.text}")

    def look(self, event: str) -> Look:
        """Return what `GET /remaining` says about an event."""
        asked_at = time.monotonic()
        answer = self._send("GET", "/remaining")
        return read_look(answer.status_code, answer.content, event, asked_at)

    def last_look(self, event: str) -> Look:
        """Return a look taken after this call, not one that `/remaining` kept from before."""
        now, limit = datetime.now(UTC), time.monotonic() + FRESH_SECONDS
        while True:
            look = self.look(event)
            if look.fault or time.monotonic() > limit or datetime.fromisoformat(look.as_of) > now:
                return look
            time.sleep(PAUSE_SECONDS)

    def settle(self, purchases: Iterable[Purchase]) -> int:
        """Ask again, under its key, for every purchase in doubt; return how many there were.

        Each request has a deadline of its own: what nobody told us the end of may be sold until
        that of the last one, and only then are the books final.
        """
        in_doubt = [purchase for purchase in purchases if purchase.in_doubt]
        self._all(self._ask_until_told, in_doubt)
        if untold := [purchase for purchase in in_doubt if not purchase.told]:
            time.sleep(CERTAIN_AFTER_SECONDS)
            self._all(self._look_up, untold)
        return len(in_doubt)

    def _ask_until_told(self, purchase: Purchase) -> None:
        limit = time.monotonic() + IN_DOUBT_SECONDS
        while time.monotonic() < limit:
            answer = purchase.ask()
            with suppress(RefereeError):
                heard = self._send("POST", "/buy", purchase.body, {"Idempotency-Key": purchase.key})
                hear(answer, heard.status_code, heard.headers, heard.content)
            if purchase.told:
                return
            time.sleep(min(max(answer.retry_after_seconds, PAUSE_SECONDS), PAUSE_SECONDS_MAX))

    def _look_up(self, purchase: Purchase) -> None:
        """Hear of an order by its key: to ask for it again could sell it later still."""
        with suppress(RefereeError):
            found = self._send("GET", f"/orders?{urlencode({'key': purchase.key})}")
            if found.status_code == 200:
                hear(purchase.ask(), 201, {"Idempotent-Replayed": "true"}, found.content)

    def books(self, sale: Sale, record: Record) -> Books:
        """Read the event's orders, its audit, and some of the orders clients were told of by id."""
        told = sorted({p.order.id for p in record.purchases if p.order})
        sample = random.Random(sale.seed).sample(told, min(ORDERS_READ_BY_ID, len(told)))
        orders = self._pages(f"/events/{sale.event}/orders")
        by_id = dict(zip(sample, self._all(self._order, sample), strict=True))
        return Books(orders, by_id, self._read(f"/events/{sale.event}/audit", Audit))

    def _pages(self, path: str) -> list[Order]:
        orders: list[Order] = []
        while path:
            answer = self._send("GET", path)
            orders += _decode(answer, dict[str, list[Order]])["orders"]
            following = answer.links.get("next", {}).get("url")
            path = urljoin(path, following) if following else ""
        return orders

    def _order(self, order_id: str) -> Order | None:
        answer = self._send("GET", f"/orders/{order_id}")
        return None if answer.status_code == 404 else _decode(answer, Order)

    def _read(self, path: str, type_: type[T]) -> T:
        return _decode(self._send("GET", path), type_)

    def _send(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> requests.Response:
        content = None if body is None else msgspec.json.encode(body)
        kind = {"Content-Type": "application/json"} if content else {}
        try:
            return self.session.request(
                method,
                urljoin(self.host, path),
                data=content,
                headers=kind | (headers or {}),
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException as error:
            raise RefereeError(f"{method} {self.host}{path}: {type(error).__name__}") from error

    def _all(self, errand: Callable[[Any], T], things: list[Any]) -> list[T]:
        with ThreadPoolExecutor(ERRANDS_AT_ONCE) as errands:
            return list(errands.map(errand, things))


def _decode(answer: requests.Response, type_: type[T]) -> T:
    if answer.status_code != 200:
        raise RefereeError(f"{answer.url} answers {answer.status_code}: {answer.text[:200]}")
    try:
        return msgspec.json.decode(answer.content, type=type_)
    except msgspec.DecodeError as error:
        raise RefereeError(f"{answer.url} cannot be read: {error}") from error
