"""The client: what a buyer and the administration can ask of a service, one method for each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Self, TypeVar, Unpack, overload

from service.client.answers import read, read_stock, retry_after_seconds
from service.client.calls import (
    Call,
    EventMembers,
    checked_key,
    event_body,
    purchase_body,
    purchase_call,
    quoted,
    segment,
    stream_call,
)
from service.client.errors import ClientError, NotSettled, Unavailable, UnexpectedAnswer, Unsettled
from service.client.now import Now
from service.client.patience import Clock, Patience
from service.client.results import (
    Audit,
    Event,
    Events,
    EventStock,
    Item,
    Order,
    Orders,
    Pending,
    Remaining,
    Worker,
    Workers,
)
from service.client.stream import Messages
from service.client.transport import Transport
from service.uuid7 import mint_key

TIMEOUT_SECONDS = 10.0  # twice what a service waits by default before it answers 202
# A service's default deadline. Each attempt has one of its own: when patience ends, what the last
# one asked for may still be sold for as long, which only asking again with the key tells.
PATIENCE_SECONDS = 30.0

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
        self._transport = Transport(base_url, admin_key, timeout_seconds)
        self._patience_seconds = patience_seconds
        self._clock = clock
        self.base_url = self._transport.base_url

    def __enter__(self) -> Self:
        """Return this client."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections, whatever happened."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

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
        key = mint_key() if key is None else checked_key(key)
        body = purchase_body(event, quantity, ticket_type, items, buyer)
        try:
            return self._purchase(body, key, wait_seconds)
        except ClientError as error:
            error.key = key
            raise

    def _purchase(self, body: bytes, key: str, wait_seconds: int | None) -> Order:
        patience = self._patience()
        pending = None
        try:
            answer = self._transport.ask(purchase_call(body, key, wait_seconds), patience)
            while answer.status_code == 202:
                pending = read(answer, Pending)
                pause_seconds = retry_after_seconds(answer)
                if not patience.pause(pause_seconds):
                    raise Unsettled("it is still pending", key, pending, pause_seconds)
                # Looking first spares the queue; but only buying again tells of a refusal, because
                # the service remembers sales alone.
                found = self._look_up(pending.id, patience)
                if found is not None:
                    return found
                answer = self._transport.ask(
                    purchase_call(body, key, wait_seconds or None), patience
                )
            return read(answer, Order)
        except Unavailable as fault:
            if isinstance(fault, Unsettled) or not (fault.reached or pending):
                raise
            raise Unsettled(str(fault), key, pending, fault.retry_after_seconds) from fault
        except UnexpectedAnswer as fault:
            raise Unsettled(str(fault), key, pending, None) from fault

    def _look_up(self, order_id: str, patience: Patience) -> Order | None:
        call = Call("GET", f"/orders/{segment(order_id)}")
        try:
            return read(self._transport.ask(call, patience), Order)
        except NotSettled:
            return None

    # --- looking ---

    def order(self, order_id: str) -> Order:
        """Return an order. Raises `NotSettled` if there is none yet, `NotFound` for no id."""
        return self._get(Call("GET", f"/orders/{segment(order_id)}"), Order)

    @overload
    def remaining(self) -> Remaining: ...
    @overload
    def remaining(self, event: str) -> EventStock: ...
    def remaining(self, event: str | None = None) -> Remaining | EventStock:
        """Return the stock of all events, or of one. Raises `UnknownEvent`."""
        if event is None:
            return self._get(Call("GET", "/remaining"), Remaining)
        return self._get(Call("GET", f"/remaining/{segment(event)}"), EventStock)

    def stream_remaining(self, event: str | None = None) -> Iterator[EventStock]:
        """Yield the stock of each event, or of one, as it is and whenever it changes; never ends.

        A stream that is cut is taken up again from where it was. Raises `UnknownEvent`, and
        `Unavailable` when nothing was heard for as long as patience lasts.
        """
        last_id = ""
        patience = self._patience()
        while True:
            messages = Messages()
            cut = Unavailable("the stream ended")
            try:
                for piece in self._transport.listen(stream_call(event, last_id), patience):
                    patience = self._patience()  # somebody is there
                    for message in messages.feed(piece):
                        if message.event == "remaining":
                            yield read_stock(message.data)
                        last_id = message.id or last_id
            except Unavailable as fault:
                cut = fault
            if not patience.pause(cut.retry_after_seconds):
                raise cut

    def check_ready(self) -> None:
        """Return if purchases can be made now. Raises `Unavailable`, which says why not."""
        self._transport.ask(Call("GET", "/readyz"), self._patience())

    def events(self) -> tuple[Event, ...]:
        """Return what is on sale."""
        return self._get(Call("GET", "/events"), Events).events

    def event(self, event: str) -> Event:
        """Return one event. Raises `UnknownEvent`."""
        return self._get(Call("GET", f"/events/{segment(event)}"), Event)

    # --- administration ---

    def put_event(self, event: str, **members: Unpack[EventMembers]) -> Event:
        """Create an event, or make it what `members` say, and return it.

        Raises `CapacityCommitted` if more is sold and held than it could then hold, and
        `InvalidRequest`; ValueError for a time without a zone.
        """
        path = f"/events/{segment(event)}"
        return self._get(Call("PUT", path, event_body(members), admin=True), Event)

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
        path = f"/events/{segment(event)}/{verb}"
        return self._get(Call("POST", path, admin=True), Event)

    def cancel_order(self, order_id: str) -> Order:
        """Take an order back; its stock can be sold again. Raises `NotFound`."""
        path = f"/orders/{segment(order_id)}/cancel"
        return self._get(Call("POST", path, admin=True), Order)

    def find_order(self, key: str) -> Order:
        """Return the order that was bought under `key`. Raises `NotSettled` if there is none."""
        return self._get(Call("GET", "/orders", params={"key": quoted(key)}, admin=True), Order)

    def orders(self, event: str, page_size: int | None = None) -> Iterator[Order]:
        """Yield the event's orders in the order of sale, page by page. Raises `UnknownEvent`."""
        params = {} if page_size is None else {"limit": str(page_size)}
        call = Call("GET", f"/events/{segment(event)}/orders", params=params, admin=True)
        while True:
            answer = self._transport.ask(call, self._patience())
            yield from read(answer, Orders).orders
            following = answer.links.get("next")
            if following is None:
                return
            call = Call("GET", self._transport.own_path(answer, following["url"]), admin=True)

    def orders_csv(self, event: str) -> Iterator[bytes]:
        """Yield the event's orders as CSV (UTF-8), in pieces of up to 64 KiB.

        Raises `UnknownEvent`, and `Unavailable` also in the middle: what came so far is then cut.
        """
        path, headers = f"/events/{segment(event)}/orders", {"Accept": "text/csv"}
        call = Call("GET", path, headers=headers, admin=True, stream=True)
        yield from self._transport.export(call, self._patience())

    def audit(self, event: str) -> Audit:
        """Have the event's journal replayed and compared. Raises `UnknownEvent`."""
        return self._get(Call("GET", f"/events/{segment(event)}/audit", admin=True), Audit)

    def workers(self) -> tuple[Worker, ...]:
        """Return every worker that the service knows."""
        return self._get(Call("GET", "/workers", admin=True), Workers).workers

    def now(self) -> Now:
        """Return how it stands: what the host that answers counts, the workers, all stock."""
        return self._get(Call("GET", "/admin/now", admin=True), Now)

    def _patience(self) -> Patience:
        return Patience(self._patience_seconds, self._clock)

    def _get(self, call: Call, kind: type[T]) -> T:
        return read(self._transport.ask(call, self._patience()), kind)
