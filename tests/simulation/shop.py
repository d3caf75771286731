"""Who buys, over a network that loses, doubles and delays; what they were told; what must hold.

A web process of the simulation is the real courier, lanes and desk; HTTP itself is not simulated:
a buyer's request is a function that runs in the web process. Buyers do as `service.client` does:
the same key, again and again, with its pauses, until they know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from service.client.patience import Patience
from service.desk import Desk
from service.keys import order_id
from service.stores import Store
from tests.simulation.scheduler import Process, Task, sim
from tests.simulation.stand_ins import TIME, wall_ms
from workers.audit import audit
from workers.domain import (
    Cancelled,
    CancelOrder,
    Command,
    Item,
    Order,
    Outcome,
    Purchase,
    PutEvent,
    Sold,
    Stored,
    SwitchEvent,
    TicketType,
    TooLate,
    Unreached,
    Unsettled,
    fingerprint,
)
from workers.errors import LedgerFault, Overloaded, Unavailable
from workers.ledgers import LedgerReader
from workers.settings import Settings

CLIENT_SECONDS: Final = 10.0  # of silence, before a buyer asks again


@dataclass(eq=False)
class Web:
    """One web process."""

    process: Process
    desk: Desk
    store: Store


@dataclass(eq=False)
class Wish:
    """What somebody wants under one key, and what is known of it."""

    key: str
    event: str
    items: list[Item]
    buyer: str | None
    attempts: int = 0
    unknown: int = 0  # attempts whose outcome is not known
    order: Order | None = None
    refused: str = ""  # by the last answer
    gone: bool = False  # it was said that it can no longer be sold


@dataclass(eq=False)
class Reply:
    """What comes back from a web process, if anything does."""

    task: Task | None
    came: bool = False
    value: Any = None


@dataclass(frozen=True)
class Expires:
    """A 202: not settled yet. After this moment it can no longer be sold."""

    at_us: int


class Nothing:
    """No order was found."""


Work: TypeAlias = Callable[[Web], Any]
UNKNOWN: Final = (Expires, Exception, Unsettled, Unreached)


@dataclass
class Wire:
    """How well requests and answers travel between buyers and web processes."""

    lost_chance: float = 0.0
    doubled_chance: float = 0.0
    slow_chance: float = 0.0


@dataclass
class Shop:
    """What buyers do and know, whatever ledger is behind it."""

    settings: Settings
    webs: list[Web] = field(default_factory=list)
    wire: Wire = field(default_factory=Wire)
    wishes: list[Wish] = field(default_factory=list)
    sold: int = 0
    replays: int = 0
    under_way: int = 0  # buyers that have not come to an end
    when_sold: Callable[[Sold], None] = lambda sold: None  # noqa: ARG005 - before the answer leaves

    # --- the web's side ---

    def serve(self, web: Web, work: Work, reply: Reply) -> None:
        """Be a request in a web process."""
        try:
            value = work(web)
        except (Overloaded, Unavailable) as fault:
            value = fault
        if sim().chance(self.wire.lost_chance):
            sim().note("the answer is lost")
            return
        sim().sleep(self._delay())
        reply.came, reply.value = True, value
        if reply.task is not None:
            sim().wake(reply.task)

    def _settle(self, web: Web, command: Command, wait: float | None) -> Outcome | Expires:
        outcome = web.desk.settle(command, wait)
        if outcome is None:
            ms = web.desk.expires_at_ms(command) - wall_ms()
            return Expires(sim().now_us + ms * 1000)
        if isinstance(outcome, Sold):
            self.when_sold(outcome)
            self._look_at_once(web, outcome.order)
        return outcome

    def _look_at_once(self, web: Web, order: Order) -> None:
        """Whoever was told of an order finds it, here."""
        try:
            found = web.store.reader.order(order.id)
        except LedgerFault:
            return
        if found is None:
            sim().fail(f"order {order.id} was confirmed and is not in the ledger")
        elif not same(found, order):
            sim().fail(f"the ledger says {found}, and the answer {order}")

    def _delay(self) -> float:
        slow = sim().chance(self.wire.slow_chance)
        return sim().rng.choice((0.02, 0.5, 3.0)) if slow else sim().rng.random() * 5e-4

    # --- the buyers' side ---

    def ask(self, work: Work, wait: float | None = None, wish: Wish | None = None) -> Any:
        """Have some web process do something; None if no answer came."""
        sim().point("asks")
        if not self.webs:
            sim().sleep(0.05)
            return Unavailable("nobody listens")
        web = sim().rng.choice(self.webs)
        reply = Reply(sim().current)
        copies = 2 if sim().chance(self.wire.doubled_chance) else 1
        if wish is not None:
            wish.unknown += copies - 1  # of two, one is answered
        if sim().chance(self.wire.lost_chance):
            sim().note("the request is lost")
            copies = 0

        def arrive() -> None:
            if not web.process.dead:
                sim().spawn(web.process, self.serve, web, work, reply)

        def hang_up() -> None:
            if reply.task is not None:
                sim().wake(reply.task)

        for _ in range(copies):
            sim().later(self._delay(), arrive)
        web.process.at_end.append(hang_up)
        sim().wait("for an answer", CLIENT_SECONDS + (wait or self.settings.wait_seconds))
        reply.task = None
        return reply.value if reply.came else None

    def buy(self, wish: Wish, *, gives_up: bool = False, insists: bool = False) -> None:
        """Be a buyer: ask with one key until it is known what came of it.

        Who gives up stops at the first 202; who insists asks again if it was too late.
        """
        self.wishes.append(wish)
        self.under_way += 1
        patience = Patience(1e9, TIME)
        while True:
            wish.attempts += 1
            wish.unknown += 1
            answer = self.ask_for(wish, sim().rng.choice((None, None, 0.0, 0.2)))
            if isinstance(answer, Sold):
                self._confirmed(wish, answer)
                wish.unknown -= 1
                break
            if isinstance(answer, Expires) and gives_up:
                self._look_after(wish, answer.at_us)
                break
            if answer is not None and not isinstance(answer, UNKNOWN):
                wish.unknown -= 1
                wish.refused = type(answer).__name__
                if not (isinstance(answer, TooLate) and (insists or sim().chance(0.2))):
                    break
            if isinstance(answer, Overloaded):
                wish.unknown -= 1
            patience.pause(None)
        self.under_way -= 1

    def buy_again(self, wish: Wish) -> None:
        """Ask once more with a key that may be known by now."""
        self.under_way += 1
        wish.unknown += 1
        answer = self.ask_for(wish, None)
        if isinstance(answer, Sold):
            self._confirmed(wish, answer)
        elif wish.order is not None and not (
            answer is None or isinstance(answer, (*UNKNOWN, TooLate))
        ):
            sim().fail(f"{wish.key} was sold, and is answered {answer}")
        self.under_way -= 1

    def ask_for(self, wish: Wish, wait: float | None = None) -> Any:
        """Ask once; return the outcome, or whatever else came back."""

        def work(web: Web) -> Outcome | Expires:
            purchase = Purchase(
                web.desk.deadline_ms(),
                order_id(web.store.reader.secret, wish.key),
                fingerprint(wish.event, wish.items, wish.buyer),
                wish.event,
                wish.items,
                wish.buyer,
            )
            return self._settle(web, purchase, wait)

        return self.ask(work, wait, wish)

    def _confirmed(self, wish: Wish, answer: Sold) -> None:
        self.sold += not answer.replayed
        self.replays += answer.replayed
        sim().note(f"{wish.key} is sold, entry {answer.order.entry}")
        if wish.gone:
            sim().fail(f"{wish.key} is sold, though it was said that it could not be any more")
        if answer.order.fingerprint != fingerprint(wish.event, wish.items, wish.buyer):
            sim().fail(f"{wish.key} is answered another's order: {answer.order}")
        if wish.order is not None and not same(wish.order, answer.order):
            sim().fail(f"{wish.key} is two orders: {wish.order} and {answer.order}")
        if sum(i.quantity for i in wish.items) != answer.order.quantity:
            sim().fail(f"{wish.key} is sold {answer.order.quantity} tickets")
        wish.order = answer.order

    def _look_after(self, wish: Wish, at_us: int) -> None:
        """Look for an order after the moment from which on it cannot be sold any more."""
        sim().sleep(max(0, at_us - sim().now_us) / 1e6 + 0.001)
        found = self.ask(
            lambda web: (
                web.store.reader.order(order_id(web.store.reader.secret, wish.key)) or Nothing()
            )
        )
        if isinstance(found, Nothing):
            sim().note(f"{wish.key} has expired")
            wish.gone = True

    # --- the administration ---

    def command(self, make: Callable[[Web], Command], wanted: type[Outcome]) -> Any:
        """Send a command of the administration until it is known what came of it."""
        self.under_way += 1
        patience = Patience(1e9, TIME)
        while True:
            answer = self.ask(lambda web: self._settle(web, make(web), None))
            if answer is not None and not isinstance(answer, (*UNKNOWN, TooLate)):
                break
            patience.pause(None)
        self.under_way -= 1
        sim().note(f"{wanted.__name__}: {type(answer).__name__}")
        return answer

    def put(self, event: str, capacity: int, **limits: int | None) -> Any:
        """Make or change an event of one ticket type."""
        types = [TicketType("standing", capacity)]
        return self.command(
            lambda web: PutEvent(web.desk.deadline_ms(), event, event.title(), types, **limits),
            Stored,
        )

    def cancel(self, order: Order) -> Any:
        """Take an order back."""
        return self.command(lambda web: CancelOrder(web.desk.deadline_ms(), order.id), Cancelled)

    def switch(self, event: str, to: Any) -> Any:
        """Pause an event or open it again."""
        return self.command(lambda web: SwitchEvent(web.desk.deadline_ms(), event, to), Stored)

    # --- what must hold ---

    def check(self, reader: LedgerReader) -> None:
        """Hold what was told against the ledger that is there at the end."""
        for event in reader.events():
            found = audit(reader, event.id, lambda: None)
            if found is None or not found.consistent:
                sim().fail(f"the audit of {event.id}: {found.findings if found else 'no event'}")
        numbers: set[tuple[str, int]] = set()
        ids: set[str] = set()
        for event in reader.events():
            for order in reader.orders(event.id, 0, 1_000):
                taken = {(event.id, number) for number in order.numbers()}
                if taken & numbers or order.id in ids:
                    sim().fail(f"{order} has a number or an id of another order")
                numbers |= taken
                ids.add(order.id)
        for wish in self.wishes:
            self._check_wish(reader, wish)

    def _check_wish(self, reader: LedgerReader, wish: Wish) -> None:
        found = reader.order(order_id(reader.secret, wish.key))
        if wish.order is not None and (found is None or not same(found, wish.order)):
            sim().fail(f"{wish.key} was confirmed as {wish.order}, the ledger says {found}")
        if found is None:
            return
        if wish.gone:
            sim().fail(f"{wish.key} was sold after it was said that it could not be any more")
        if wish.order is None and wish.unknown == 0:
            sim().fail(f"{wish.key} was refused ({wish.refused}) each time, and is sold")


def same(one: Order, other: Order) -> bool:
    """Say whether two are one order, whether it is cancelled by now or not."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in Order.__struct_fields__
        if name != "cancelled_entry"
    )
