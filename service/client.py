"""The Python client of a soldout service: HTTP through `requests`, and nothing else.

    with Client("http://127.0.0.1:8000") as client:
        order = client.buy("gala", 2, buyer="ann@example.com")

Methods return what the service says as structs, or raise:

ClientError
├── Refused                the service said no, and nothing was done; `problem` holds its words
│   ├── SoldOut            not enough tickets; `remaining`, and `held`, which may come back
│   ├── NotOnSale          not opened yet, paused or closed; `event_status`, `opens_at`
│   ├── BuyerLimit         more than this buyer may have
│   ├── UnknownEvent
│   ├── UnknownTicketType
│   ├── InvalidRequest     breaks a rule; `errors` says which field and why
│   ├── MalformedRequest
│   ├── KeyReused          the key names a purchase with another body
│   ├── NotSettled         no such order; it may still be pending, for `retry_after_seconds`
│   ├── NotFound           nothing is at this address: no such order to cancel
│   ├── CapacityCommitted  a capacity below what is sold and held
│   ├── Unauthorized       no administration key was sent
│   └── Forbidden          this administration key is not the service's
├── Unavailable            no answer came while patience lasted; asking again is safe
│   └── Unsettled          a purchase that may or may not be sold; asking with its `key` tells
└── UnexpectedAnswer       what answered does not speak like soldout: another server, a proxy

Whatever `buy` raises carries the purchase's `key`: who tries again with it can never buy twice.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Protocol, Self, TypedDict, TypeVar, Unpack, overload
from urllib.parse import quote, urljoin, urlsplit

import msgspec
import requests
from msgspec import Struct
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError

from service.uuid7 import mint_key

CONNECT_TIMEOUT_SECONDS = 3.0  # long enough for one lost SYN, which is sent again after 1 s
TIMEOUT_SECONDS = 10.0  # twice what a service waits by default before it answers 202
PATIENCE_SECONDS = 30.0  # a service's default deadline: by then a purchase is sold or never will be
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 5.0
CSV_CHUNK_BYTES = 64 * 1024

# --- what the service says; members that a later service adds are ignored -------------------------


class Money(Struct, frozen=True):
    """An amount in minor units (cents) of an ISO 4217 currency."""

    amount: int
    currency: str


class Item(Struct, frozen=True, omit_defaults=True):
    """So many tickets of one ticket type; without a type, of the only one the event has."""

    quantity: int
    ticket_type: str | None = None


class Ticket(Struct, frozen=True):
    """One ticket. Its number is unique within the event; its code is what the door checks."""

    number: int
    ticket_type: str
    code: str


class Order(Struct, frozen=True):
    """A purchase that was sold. `status` is `sold` or `cancelled`."""

    id: str
    event: str
    status: str
    items: tuple[Item, ...]
    tickets: tuple[Ticket, ...]
    sold_at: datetime
    total: Money | None = None
    buyer: str | None = None


class Pending(Struct, frozen=True):
    """A purchase handed over and not settled yet; after `expires_at` it can no longer be sold."""

    id: str
    expires_at: datetime
    status: str = "pending"


class TicketTypeStock(Struct, frozen=True):
    """The stock of one ticket type: capacity = sold + held + remaining."""

    ticket_type: str
    capacity: int
    sold: int
    held: int
    remaining: int


class EventStock(Struct, frozen=True):
    """The stock of one event, and of each of its ticket types."""

    event: str
    status: str
    capacity: int
    sold: int
    held: int
    remaining: int
    ticket_types: tuple[TicketTypeStock, ...]
    as_of: datetime | None = None


class Remaining(Struct, frozen=True):
    """The stock of all events at one moment."""

    as_of: datetime
    events: tuple[EventStock, ...]


class TicketType(Struct, frozen=True, omit_defaults=True):
    """One kind of ticket of an event, as it is put on sale."""

    id: str
    capacity: int
    price: Money | None = None


class Event(Struct, frozen=True):
    """What is on sale: names, opening times, limits, ticket types with prices."""

    id: str
    name: str
    status: str
    ticket_types: tuple[TicketType, ...]
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    max_per_order: int | None = None
    max_per_buyer: int | None = None


class EventMembers(TypedDict, total=False):
    """What `put_event` may say. Either `capacity`, for one ticket type, or `ticket_types`."""

    name: str
    capacity: int
    ticket_types: Sequence[TicketType]
    opens_at: datetime | None
    closes_at: datetime | None
    max_per_order: int | None
    max_per_buyer: int | None


class Audit(Struct, frozen=True):
    """An event's journal, replayed and compared with all else; `findings` says what differs."""

    consistent: bool
    entries: int
    capacity: int
    sold: int
    held: int
    remaining: int
    orders: int
    tickets: int
    findings: tuple[str, ...] = ()


class Worker(Struct, frozen=True):
    """A process of the pool, and what it has settled since it started."""

    worker: int
    host: str
    pid: int
    since: datetime
    last_heartbeat: datetime
    batches: int
    purchases: int


class _Events(Struct, frozen=True):
    events: tuple[Event, ...]


class _Orders(Struct, frozen=True):
    orders: tuple[Order, ...]


class _Workers(Struct, frozen=True):
    workers: tuple[Worker, ...]


# --- what goes wrong ------------------------------------------------------------------------------


class ClientError(Exception):
    """The root of all errors of this client."""

    key: str | None = None  # of the purchase, where there is one


class Refused(ClientError):
    """The service said no, and nothing was done. Trying again changes nothing by itself."""

    slug: ClassVar[str] = ""

    def __init__(
        self, problem: dict[str, Any], status_code: int, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(_detail(problem))
        self.problem = problem
        self.status_code = status_code
        self.retry_after_seconds = retry_after_seconds


class SoldOut(Refused):
    """Not enough tickets are left."""

    slug = "sold-out"

    @property
    def remaining(self) -> int:
        """Tickets that can be sold now: fewer than were asked for."""
        return int(self.problem.get("remaining") or 0)

    @property
    def held(self) -> int:
        """Tickets that others hold, and which may come back."""
        return int(self.problem.get("held") or 0)


class NotOnSale(Refused):
    """Not opened yet, paused or closed."""

    slug = "not-on-sale"

    @property
    def event_status(self) -> str:
        """`scheduled`, `paused` or `closed`."""
        return str(self.problem.get("status", ""))

    @property
    def opens_at(self) -> datetime | None:
        """When the sale opens, where the event says so."""
        return msgspec.convert(self.problem.get("opens_at"), datetime | None)


class BuyerLimit(Refused):
    """More than this buyer may have."""

    slug = "buyer-limit"


class UnknownEvent(Refused):
    """No such event."""

    slug = "unknown-event"


class UnknownTicketType(Refused):
    """The event has no such ticket type."""

    slug = "unknown-ticket-type"


class InvalidRequest(Refused):
    """A well-formed request that breaks a rule."""

    slug = "invalid-request"

    @property
    def errors(self) -> list[Any]:
        """Which field, and why."""
        return list(self.problem.get("errors") or [])


class MalformedRequest(Refused):
    """Not JSON, or a malformed header."""

    slug = "malformed-request"


class KeyReused(Refused):
    """The key names a purchase with another body."""

    slug = "key-reused"


class NotSettled(Refused):
    """No such order. With `retry_after_seconds` it may still be pending; without, it is none."""

    slug = "not-settled"


class NotFound(Refused):
    """Nothing is at this address."""

    slug = "not-found"


class CapacityCommitted(Refused):
    """The capacity asked for is below what is sold and held; nothing changed."""

    slug = "capacity-committed"


class Unauthorized(Refused):
    """The administration's key is needed, and none was sent."""

    slug = "unauthorized"


class Forbidden(Refused):
    """The administration's key that was sent is not the service's."""

    slug = "forbidden"


class Unavailable(ClientError):
    """No usable answer came while patience lasted. Every call is safe to repeat.

    `reached` is False if the request surely never arrived.
    """

    def __init__(
        self, reason: str, retry_after_seconds: float | None = None, *, reached: bool = True
    ) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.reached = reached


class Unsettled(Unavailable):
    """A purchase that may or may not be sold: ask again with the same `key` and the same wishes.

    `pending` is what the service last said of it, if it said anything.
    """

    def __init__(
        self, reason: str, key: str, pending: Pending | None, retry_after_seconds: float | None
    ) -> None:
        sentence = f"it is unknown whether this purchase was sold: {reason}"
        super().__init__(sentence, retry_after_seconds)
        self.key = key
        self.pending = pending


class UnexpectedAnswer(ClientError):
    """What answered does not speak like soldout: another server, a proxy, a page to log in."""

    def __init__(self, answer: requests.Response, why: str) -> None:
        start = " ".join(answer.content[:200].decode(errors="replace").split())[:80]
        super().__init__(
            f"{_status_line(answer)} from {answer.url} {why} (it begins {start!r});"
            " is the address right?"
        )
        self.status_code = answer.status_code


_REFUSALS = {refusal.slug: refusal for refusal in Refused.__subclasses__()}
_GATEWAY_STATUSES = {502, 503, 504}  # a proxy's words for "the service behind me does not answer"
_LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


# --- asking ---------------------------------------------------------------------------------------


class Clock(Protocol):
    """What tells and passes time; the module `time` is one."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float, /) -> None:
        """Return after so many seconds."""


class _Call(Struct, frozen=True):
    """One request, ready to be sent as often as it takes."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = {}
    params: dict[str, str] = {}
    admin: bool = False
    stream: bool = False
    wait_seconds: int = 0  # the service may take so long to answer by our own wish


class _Patience:
    """The time and the pauses that one call may spend on attempts."""

    _random = secrets.SystemRandom()

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._ends = clock.monotonic() + seconds
        self._backoff_seconds = BACKOFF_FIRST_SECONDS

    def pause(self, retry_after_seconds: float | None) -> bool:
        """Sleep before the next attempt; False, at once, if patience would end before it.

        Exponential backoff, half of it random, so that those who failed together do not come back
        together; never shorter than the service asks.
        """
        half = self._backoff_seconds / 2
        seconds = max(half, retry_after_seconds or 0.0) + self._random.uniform(0, half)
        if self._clock.monotonic() + seconds > self._ends:
            return False
        self._backoff_seconds = min(self._backoff_seconds * 2, BACKOFF_MAX_SECONDS)
        self._clock.sleep(seconds)
        return True


class _Bearer(AuthBase):
    """Sends the administration's key, or none. Set even for none: requests else asks ~/.netrc."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


T = TypeVar("T")


class Client:
    """A client of one soldout service, which keeps its connections; use it in a `with` block.

    `timeout_seconds` bounds the service's silence within one attempt, beyond the wait that a
    purchase asks for; keep it above the service's own wait (5 s by default), or every slow purchase
    is a lost one. Lost connections, timeouts, faults of the service and gateway errors of a proxy
    are tried again, refusals never; no attempt starts after `patience_seconds`, and with 0 there is
    one. All that is sent is safe to repeat: purchases by their key, everything else by its nature.

    One client for each thread: `requests` does not promise that a session can be shared. Making a
    client opens no connection. Raises ValueError if `base_url` is not an http or https address.
    """

    def __init__(
        self,
        base_url: str,
        admin_key: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Clock = time,
    ) -> None:
        self.base_url = _checked_address(base_url)
        self._admin = _Bearer(admin_key)
        self._public = _Bearer(None)
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._session = requests.Session()
        for header in ("Accept", "Content-Type"):
            self._session.headers[header] = "application/json"
        self._session.headers["User-Agent"] = "soldout-client"

    def __enter__(self) -> Self:
        """Return this client."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections, whatever happened."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    # --- buying ---

    def buy(
        self,
        event: str,
        quantity: int = 1,
        ticket_type: str | None = None,
        items: Sequence[Item] | None = None,
        buyer: str | None = None,
        key: str | None = None,
        wait_seconds: int | None = None,
    ) -> Order:
        """Buy `quantity` tickets, or all of `items` instead, and return the order.

        `key` is the purchase's identity, 16 to 255 visible ASCII characters; without one, one is
        minted. The same key with the same wishes returns the same order, at any later time.
        `wait_seconds` is how long the service may keep a request waiting before it answers 202 (0:
        not at all); such a purchase is followed until it is settled or patience runs out.

        Raises a `Refused` if nothing was bought, `Unavailable` if the service could not be reached
        at all, `Unsettled` if the outcome is unknown; ValueError for a key that no header can hold.
        A refusal is the word on the last attempt: should an earlier one that was lost still lie in
        a queue, and stock come back before its deadline, then only asking with the key again tells.
        """
        key = mint_key() if key is None else key
        if not (16 <= len(key) <= 255 and all("!" <= c <= "~" for c in key)):
            raise ValueError("a key is 16 to 255 visible ASCII characters")
        wish: dict[str, Any] = {"event": event}
        if items is None:
            wish |= {"quantity": quantity, "ticket_type": ticket_type}
        else:
            wish["items"] = items
        wish["buyer"] = buyer
        body = msgspec.json.encode({name: told for name, told in wish.items() if told is not None})
        try:
            return self._purchase(body, key, wait_seconds)
        except ClientError as error:
            error.key = key
            raise

    def _purchase(self, body: bytes, key: str, wait_seconds: int | None) -> Order:
        patience = self._patience()
        pending = None
        try:
            answer = self._ask(_purchase_call(body, key, wait_seconds), patience)
            while answer.status_code == 202:
                pending = _read(answer, Pending)
                pause_seconds = _retry_after_seconds(answer)
                if not patience.pause(pause_seconds):
                    raise Unsettled("it is still pending", key, pending, pause_seconds)
                # Looking first spares the queue; but only buying again tells of a refusal, because
                # the service remembers sales alone.
                found = self._look_up(pending.id, patience)
                if found is not None:
                    return found
                answer = self._ask(_purchase_call(body, key, wait_seconds or None), patience)
            return _read(answer, Order)
        except Unavailable as fault:
            if isinstance(fault, Unsettled) or not (fault.reached or pending):
                raise
            raise Unsettled(str(fault), key, pending, fault.retry_after_seconds) from fault
        except UnexpectedAnswer as fault:
            raise Unsettled(str(fault), key, pending, None) from fault

    def _look_up(self, order_id: str, patience: _Patience) -> Order | None:
        try:
            return _read(self._ask(_order_call(order_id), patience), Order)
        except NotSettled:
            return None

    # --- looking ---

    def order(self, order_id: str) -> Order:
        """Return an order. Raises `NotSettled` if there is none yet, `NotFound` for no id."""
        return self._get(_order_call(order_id), Order)

    @overload
    def remaining(self) -> Remaining: ...
    @overload
    def remaining(self, event: str) -> EventStock: ...
    def remaining(self, event: str | None = None) -> Remaining | EventStock:
        """Return the stock of all events, or of one. Raises `UnknownEvent`."""
        if event is None:
            return self._get(_Call("GET", "/remaining"), Remaining)
        return self._get(_Call("GET", f"/remaining/{_segment(event)}"), EventStock)

    def events(self) -> tuple[Event, ...]:
        """Return what is on sale."""
        return self._get(_Call("GET", "/events"), _Events).events

    def event(self, event: str) -> Event:
        """Return one event. Raises `UnknownEvent`."""
        return self._get(_Call("GET", f"/events/{_segment(event)}"), Event)

    # --- administration ---

    def put_event(self, event: str, **members: Unpack[EventMembers]) -> Event:
        """Create an event, or make it what `members` say, and return it.

        Raises `CapacityCommitted` if more is sold and held than it could then hold, and
        `InvalidRequest`; ValueError for a time without a zone.
        """
        said = {
            name: _rfc3339(value) if isinstance(value, datetime) else value
            for name, value in members.items()
        }
        path = f"/events/{_segment(event)}"
        return self._get(_Call("PUT", path, msgspec.json.encode(said), admin=True), Event)

    def pause_event(self, event: str) -> Event:
        """Stop selling for a while. Raises `UnknownEvent`, or `NotOnSale` if it is closed."""
        return self._switch_event(event, "pause")

    def resume_event(self, event: str) -> Event:
        """Sell again. Raises `UnknownEvent`."""
        return self._switch_event(event, "resume")

    def close_event(self, event: str) -> Event:
        """Stop selling. Raises `UnknownEvent`."""
        return self._switch_event(event, "close")

    def _switch_event(self, event: str, verb: str) -> Event:
        path = f"/events/{_segment(event)}/{verb}"
        return self._get(_Call("POST", path, admin=True), Event)

    def cancel_order(self, order_id: str) -> Order:
        """Take an order back; its stock can be sold again. Raises `NotFound`."""
        path = f"/orders/{_segment(order_id)}/cancel"
        return self._get(_Call("POST", path, admin=True), Order)

    def find_order(self, key: str) -> Order:
        """Return the order that was bought under `key`. Raises `NotSettled` if there is none."""
        return self._get(_Call("GET", "/orders", params={"key": _quoted(key)}, admin=True), Order)

    def orders(self, event: str, page_size: int | None = None) -> Iterator[Order]:
        """Yield the event's orders in the order of sale, page by page. Raises `UnknownEvent`."""
        params = {} if page_size is None else {"limit": str(page_size)}
        call = _Call("GET", f"/events/{_segment(event)}/orders", params=params, admin=True)
        while True:
            answer = self._ask(call, self._patience())
            yield from _read(answer, _Orders).orders
            following = answer.links.get("next")
            if following is None:
                return
            call = _Call("GET", self._own_path(answer, following["url"]), admin=True)

    def orders_csv(self, event: str) -> Iterator[bytes]:
        """Yield the event's orders as CSV (UTF-8), in pieces of up to 64 KiB.

        Raises `UnknownEvent`, and `Unavailable` also in the middle: what came so far is then cut.
        """
        path, headers = f"/events/{_segment(event)}/orders", {"Accept": "text/csv"}
        call = _Call("GET", path, headers=headers, admin=True, stream=True)
        with self._ask(call, self._patience()) as answer:
            try:
                yield from answer.iter_content(CSV_CHUNK_BYTES)
            except _LOST as error:
                raise Unavailable(f"the export was cut: {_root_cause(error)}") from error

    def audit(self, event: str) -> Audit:
        """Have the event's journal replayed and compared. Raises `UnknownEvent`."""
        return self._get(_Call("GET", f"/events/{_segment(event)}/audit", admin=True), Audit)

    def workers(self) -> tuple[Worker, ...]:
        """Return every worker that the service knows."""
        return self._get(_Call("GET", "/workers", admin=True), _Workers).workers

    # --- HTTP ---

    def _patience(self) -> _Patience:
        return _Patience(self._patience_seconds, self._clock)

    def _get(self, call: _Call, kind: type[T]) -> T:
        return _read(self._ask(call, self._patience()), kind)

    def _ask(self, call: _Call, patience: _Patience) -> requests.Response:
        """Send `call` until it is answered or `patience` ends; return an answer of success."""
        reached = False
        while True:
            try:
                return self._attempt(call)
            except Unavailable as fault:
                fault.reached = reached = reached or fault.reached
                if not patience.pause(fault.retry_after_seconds):
                    raise

    def _attempt(self, call: _Call) -> requests.Response:
        try:
            answer = self._session.request(
                call.method,
                self.base_url + call.path,
                params=call.params,
                data=call.body,
                headers=call.headers,
                auth=self._admin if call.admin else self._public,
                timeout=(
                    min(CONNECT_TIMEOUT_SECONDS, self._timeout_seconds),
                    self._timeout_seconds + call.wait_seconds,
                ),
                allow_redirects=False,  # a redirect may turn a purchase into a GET
                stream=call.stream,
            )
        except _LOST as error:
            reason = f"cannot reach {self.base_url}: {_root_cause(error)}"
            raise Unavailable(reason, reached=_may_have_arrived(error)) from error
        if 200 <= answer.status_code < 300:
            return answer
        raise _failure(answer)

    def _own_path(self, answer: requests.Response, link: str) -> str:
        """Return what follows the base address in `link`: the key goes to no other server."""
        url = urljoin(answer.url, link)
        if not url.startswith(self.base_url + "/"):
            raise UnexpectedAnswer(answer, f"leads to another server, {url}")
        return url.removeprefix(self.base_url)


def _checked_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of a port that is no number
        good = False
    if not good:
        raise ValueError(f"not an address like http://127.0.0.1:8000: {url!r}")
    return url.rstrip("/")


def _purchase_call(body: bytes, key: str, wait_seconds: int | None) -> _Call:
    headers = {"Idempotency-Key": _quoted(key)}
    if wait_seconds is not None:
        headers["Prefer"] = f"wait={wait_seconds}" if wait_seconds else "respond-async"  # RFC 7240
    return _Call("POST", "/buy", body, headers, wait_seconds=wait_seconds or 0)


def _quoted(key: str) -> str:
    """Return a key as a structured-field string (RFC 9651), so that it may hold quotes itself."""
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _order_call(order_id: str) -> _Call:
    return _Call("GET", f"/orders/{_segment(order_id)}")


def _segment(name: str) -> str:
    return quote(name, safe="")


def _rfc3339(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"a time needs a zone: {moment}")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- judging what came back -----------------------------------------------------------------------


def _read(answer: requests.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(answer, f"is not what was asked for, {error}") from error


def _failure(answer: requests.Response) -> ClientError:
    """Return the error that an answer other than success stands for."""
    problem = _problem(answer)
    retry_after_seconds = _retry_after_seconds(answer)
    if problem is not None and answer.status_code >= 500:
        return Unavailable(_detail(problem), retry_after_seconds)
    if answer.status_code in _GATEWAY_STATUSES:
        return Unavailable(f"{_status_line(answer)} from a proxy", retry_after_seconds)
    if problem is None:
        return UnexpectedAnswer(answer, "is not an answer of soldout's")
    slug = str(problem.get("type", "")).rpartition("/")[2]
    return _REFUSALS.get(slug, Refused)(problem, answer.status_code, retry_after_seconds)


def _problem(answer: requests.Response) -> dict[str, Any] | None:
    """Return the members of a problem (RFC 9457), or None if the answer is none."""
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return None
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _detail(problem: dict[str, Any]) -> str:
    return str(problem.get("detail") or problem.get("title") or problem.get("type"))


def _status_line(answer: requests.Response) -> str:
    kind = answer.headers.get("Content-Type", "no media type")
    return f"{answer.status_code} {answer.reason} ({kind})"


def _retry_after_seconds(answer: requests.Response) -> float | None:
    """Return what Retry-After says, as seconds or as a date (RFC 9110, section 10.2.3)."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # absent, or neither; TypeError for a date without a zone
        return None


def _may_have_arrived(error: requests.RequestException) -> bool:
    """Say whether the service may have read the request before the connection failed."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(error, requests.ConnectTimeout) and not isinstance(
        reason, NewConnectionError
    )


def _root_cause(error: BaseException) -> str:
    """Return the system's own words, from below the layers that wrapped them."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(getattr(error, "strerror", None) or error)
