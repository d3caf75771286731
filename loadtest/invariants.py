"""What must hold after a rush, each invariant a pure function over plain data.

In: `Evidence`. Out: how much was checked, and a line for each thing that is wrong. The tables at
the end name them; `judgement.py` makes verdicts of what they find.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain

from loadtest.evidence import Books, Evidence
from loadtest.findings import Finding
from loadtest.history import checks
from loadtest.stories import Count, Look, Order, Purchase, Sale

Check = Callable[[Evidence], Finding]
BooksCheck = Callable[[Evidence, Books], Finding]

NEVER = "1970-01-01T00:00Z"


# What can be asked of every server.


def every_client_was_heard(evidence: Evidence) -> Finding:
    """The stories of every process that ran clients arrived, and no client crashed."""
    silent = evidence.processes - evidence.processes_heard
    lost = [f"{silent} of {evidence.processes} processes did not tell their stories"]
    return evidence.processes, evidence.crashes + (lost if silent else [])


def every_answer_is_allowed(evidence: Evidence) -> Finding:
    """No client was answered what the contract does not allow."""
    faults = [answer.fault for _, answer in evidence.answers()]
    faults += [look.fault for look in evidence.record.looks]
    times = Counter(fault for fault in faults if fault)
    return len(faults), [f"{fault} ({n} times)" for fault, n in times.most_common()]


def nothing_is_oversold(evidence: Evidence) -> Finding:
    """No more tickets of a type are sold than there are."""
    breaches = [
        f"{kind.id}: {sold} tickets {account}, capacity {kind.capacity}"
        for account, orders in evidence.accounts.items()
        for kind in evidence.sale.ticket_types
        if (sold := _tickets_of(orders)[kind.id]) > kind.capacity
    ]
    return _tickets_of(evidence.told.values()).total(), breaches


def no_ticket_is_sold_twice(evidence: Evidence) -> Finding:
    """A ticket number stands in one order only, and once."""
    breaches = []
    for account, orders in evidence.accounts.items():
        holders: dict[int, list[str]] = defaultdict(list)
        for order in orders:
            for ticket in order.tickets:
                holders[ticket.number].append(order.id)
        breaches += [
            f"ticket {number} {account} {len(ids)} times: orders {', '.join(ids)}"
            for number, ids in sorted(holders.items())
            if len(ids) > 1
        ]
    return _tickets_of(evidence.told.values()).total(), breaches


def every_order_is_what_was_asked(evidence: Evidence) -> Finding:
    """An order has the event, buyer, tickets and total that its purchase asked for."""
    sold = [(purchase, answer.order) for purchase, answer in evidence.answers() if answer.order]
    breaches = [
        f"order {order.id} for {purchase.wanted} {difference}"
        for purchase, order in sold
        for difference in _differences(purchase, order, evidence.sale)
    ]
    return len(sold), breaches


def every_look_adds_up(evidence: Evidence) -> Finding:
    """Whoever looked saw sold + held + remaining = capacity, and no number below zero."""
    looks = [look for look in [*evidence.record.looks, evidence.final] if not look.fault]
    breaches = [
        f"at {look.as_of} {wrong}" for look in looks for wrong in _imbalances(look, evidence.sale)
    ]
    return len(looks), breaches


def sold_is_what_was_confirmed(evidence: Evidence) -> Finding:
    """What counts as sold was confirmed to a client; a peer, which has no keys, leaves doubts."""
    confirmed = _tickets_of(evidence.told.values())
    in_doubt = Counter[str]()
    for purchase in evidence.record.purchases:
        if purchase.in_doubt and not evidence.books:
            in_doubt.update(purchase.wanted)
    breaches = []
    for count in evidence.final.ticket_types:
        least = confirmed[count.ticket_type]
        most = least + in_doubt[count.ticket_type]
        if not least <= count.sold <= most:
            breaches.append(f"{count.ticket_type}: {count.sold} sold, {least} confirmed")
    return sum(count.sold for count in evidence.final.ticket_types), breaches


def nobody_was_refused_what_was_left(evidence: Evidence) -> Finding:
    """Nothing comes back in a rush: who hears "sold out" wanted more than is left at its end."""
    left = {count.ticket_type: count.remaining for count in evidence.final.ticket_types}
    refused = [p for p, answer in evidence.answers() if answer.problem == "sold-out"]
    breaches = [
        f"{purchase.wanted} was sold out, yet {left} are left"
        for purchase in refused
        if all(left.get(kind, 0) >= wanted for kind, wanted in purchase.wanted.items())
    ]
    return len(refused), breaches


# What needs keys and an administration, which a peer does not have.


def every_purchase_has_an_outcome(evidence: Evidence, _: Books) -> Finding:
    """Asked again with its key, every purchase is an order or was refused for certain."""
    asked = [purchase for purchase in evidence.record.purchases if purchase.answers]
    breaches = [
        f"purchase {purchase.key}: {[answer.outcome for answer in purchase.answers]}"
        for purchase in asked
        if not purchase.told
    ]
    return len(asked), breaches


def a_purchase_is_sold_once(evidence: Evidence, _: Books) -> Finding:
    """However often a purchase is sent, one answer sells it and the others replay that order."""
    repeated = [p for p in evidence.record.purchases if p.order and len(p.answers) > 1]
    breaches = [
        f"purchase {purchase.key} {wrong}"
        for purchase in repeated
        for wrong in _second_thoughts(purchase)
    ]
    return len(repeated), breaches


def no_confirmed_order_is_missing(evidence: Evidence, books: Books) -> Finding:
    """Every order that a client was told of stands in the books, word for word."""
    booked = {order.id: order for order in books.orders}
    breaches = [
        f"order {told.id} {_comparison(told, booked.get(told.id))}"
        for told in evidence.told.values()
        if told != booked.get(told.id)
    ]
    return len(evidence.told), breaches


def no_order_is_a_strangers(evidence: Evidence, books: Books) -> Finding:
    """Every order in the books was asked for by a client who was told of it, and stands once."""
    entries = Counter(order.id for order in books.orders)
    breaches = [f"order {key} stands there {n} times" for key, n in entries.items() if n > 1]
    breaches += [
        f"order {key} is known to no client" for key in entries if key not in evidence.told
    ]
    return len(books.orders), breaches


def an_order_reads_as_it_was_told(evidence: Evidence, books: Books) -> Finding:
    """Who knows an order's id reads what its buyer was told."""
    breaches = [
        f"order {key} {_comparison(evidence.told[key], order)}"
        for key, order in books.by_id.items()
        if order != evidence.told[key]
    ]
    return len(books.by_id), breaches


def nothing_is_sold_before_the_opening(evidence: Evidence, books: Books) -> Finding:
    """No order is older than the opening of the sale."""
    opening = datetime.fromtimestamp(evidence.sale.opens_at_seconds).astimezone()
    breaches = [
        f"order {order.id} was sold at {order.sold_at}, the sale opened at {opening}"
        for order in books.orders
        if datetime.fromisoformat(order.sold_at or NEVER) < opening
    ]
    return len(books.orders), breaches


def the_audit_agrees(evidence: Evidence, books: Books) -> Finding:
    """The replayed journal is consistent, and counts as `/remaining` and the clients count."""
    audit, final, told = books.audit, evidence.final, evidence.told.values()
    pairs = {
        "capacity": (audit.capacity, evidence.sale.capacity),
        "sold": (audit.sold, final.sold),
        "held": (audit.held, final.held),
        "remaining": (audit.remaining, final.remaining),
        "orders": (audit.orders, len(told)),
        "tickets": (audit.tickets, _tickets_of(told).total()),
    }
    breaches = [f"finding: {finding}" for finding in audit.findings]
    breaches += [] if audit.consistent else ["the journal is not consistent"]
    breaches += [
        f"{name}: {is_}, not {should}" for name, (is_, should) in pairs.items() if is_ != should
    ]
    return audit.entries, breaches


CHECKS: dict[str, Check] = {
    "every client was heard": every_client_was_heard,
    "every answer is one the contract allows": every_answer_is_allowed,
    "nothing is oversold": nothing_is_oversold,
    "no ticket number is sold twice": no_ticket_is_sold_twice,
    "every order is what was asked for": every_order_is_what_was_asked,
    "sold + held + remaining = capacity, always": every_look_adds_up,
    "what counts as sold was confirmed": sold_is_what_was_confirmed,
    "nobody was refused a ticket that was left": nobody_was_refused_what_was_left,
}


def told_in_time(check: checks.Check) -> BooksCheck:
    """Return a check of histories, which knows when everything was asked and heard, as one here."""
    return lambda evidence, _: check(evidence.timeline)


BOOKS_CHECKS: dict[str, BooksCheck] = {
    "every purchase has an outcome": every_purchase_has_an_outcome,
    "a purchase sent again is sold once": a_purchase_is_sold_once,
    "no confirmed order is missing": no_confirmed_order_is_missing,
    "no order that nobody asked for": no_order_is_a_strangers,
    "an order reads as it was told": an_order_reads_as_it_was_told,
    "nothing is sold before the opening": nothing_is_sold_before_the_opening,
    "the audit is consistent and agrees": the_audit_agrees,
    **{name: told_in_time(check) for name, check in checks.MOMENTS.items()},
}


def _tickets_of(orders: Iterable[Order]) -> Counter[str]:
    tickets = chain.from_iterable(order.tickets for order in orders)
    return Counter(ticket.ticket_type for ticket in tickets)


def _differences(purchase: Purchase, order: Order, sale: Sale) -> Iterator[str]:
    prices = {kind.id: kind.price.amount for kind in sale.ticket_types if kind.price}
    price = sum(prices.get(kind, 0) * wanted for kind, wanted in purchase.wanted.items())
    if order.event != sale.event:
        yield f"is for the event {order.event}"
    if order.status != "sold":
        yield f"is {order.status}"
    if order.buyer != purchase.body["buyer"]:
        yield f"is for the buyer {order.buyer}"
    if order.quantities != purchase.wanted:
        yield f"is for {dict(order.quantities)}"
    if (tickets := _tickets_of([order])) != purchase.wanted:
        yield f"has the tickets {dict(tickets)}"
    if order.total and order.total.amount != price:
        yield f"costs {order.total.amount}, not {price}"


def _imbalances(look: Look, sale: Sale) -> Iterator[str]:
    counts = look.ticket_types
    stated = {kind.id: kind.capacity for kind in sale.ticket_types}
    if (seen := {count.ticket_type: count.capacity for count in counts}) != stated:
        yield f"the capacities are {seen}, not {stated}"
    if look.sold != sum(count.sold for count in counts):
        yield f"{look.sold} are sold, but not when the ticket types are added up"
    whole = Count("all", look.capacity, look.sold, look.held, look.remaining)
    for count in (whole, *counts):
        parts = (count.sold, count.held, count.remaining)
        if sum(parts) != count.capacity or min(parts) < 0:
            yield f"{count.ticket_type}: sold, held, remaining are {parts} of {count.capacity}"


def _second_thoughts(purchase: Purchase) -> Iterator[str]:
    sales = [answer for answer in purchase.answers if answer.order]
    orders = {answer.order.id for answer in sales if answer.order}
    if any(answer.order != purchase.order for answer in sales):
        yield f"got different answers, orders {sorted(orders)}"
    if (times := sum(1 for answer in sales if not answer.replayed)) > 1:
        yield f"was sold {times} times, instead of sold once and replayed"
    if any(answer.after_sale and answer.refused for answer in purchase.answers):
        yield f"was refused after it was sold: {[answer.outcome for answer in purchase.answers]}"
    if promised := {a.pending_id for a in purchase.answers if a.pending_id} - orders:
        yield f"was promised as {sorted(promised)}, and sold as {sorted(orders)}"


def _comparison(told: Order, read: Order | None) -> str:
    return f"was told as {told}, and reads {read}" if read else "is not there"
