"""How results and errors are told: to people as lines and sentences, to machines as members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service import client as http
    from workers.backup import Contents

# ISO 4217: the currencies whose minor unit is no hundredth.
WITHOUT_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
IN_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
FREE = "free"
# What to do about a refusal, by its problem's name.
ADVICE = {
    "unknown-event": "`soldout event list` names them all",
    "unknown-ticket-type": "`soldout event show EVENT` names them all",
    "not-on-sale": "`soldout event resume` sells it again",
    "key-reused": "use a new --key for a new purchase",
    "capacity-committed": "put that at least, or give tickets back with `soldout order cancel`",
    "not-settled": "`soldout order list EVENT` tells which there are",
    "unauthorized": "set SOLDOUT_ADMIN_KEY to this service's key",
    "forbidden": "set SOLDOUT_ADMIN_KEY to this service's key",
}


def order_line(order: http.Order) -> str:
    """Tell of an order: what was bought."""
    tickets = f"{count_of(len(order.tickets), 'ticket')} of {order.event}"
    return f"{order.status}: order {order.id}, {tickets}, {_price(order.total)}"


def order_lines(order: http.Order) -> Iterator[str]:
    """Tell of an order: what was bought, then each ticket."""
    yield order_line(order)
    yield from table((f"  {t.number}", t.ticket_type, t.code) for t in order.tickets)


def orders_lines(orders: Sequence[http.Order]) -> Iterator[str]:
    """Tell of orders: a table with a row for each."""
    rows = [("ORDER", "STATUS", "SOLD AT", "TICKETS", "TOTAL", "BUYER")]
    for o in orders:
        sold_at, tickets, total = _time(o.sold_at), str(len(o.tickets)), _price(o.total)
        rows.append((o.id, o.status, sold_at, tickets, total, o.buyer or ""))
    return table(rows)


def stock_lines(events: Sequence[http.EventStock]) -> Iterator[str]:
    """Tell of stock: a table with a row for each event and, of several, each ticket type."""
    rows: list[tuple[str, ...]] = [("EVENT", "STATUS", "REMAINING", "HELD", "SOLD", "CAPACITY")]
    for e in events:
        rows.append((e.event, e.status, *map(str, (e.remaining, e.held, e.sold, e.capacity))))
        for t in e.ticket_types if len(e.ticket_types) > 1 else ():
            counts = map(str, (t.remaining, t.held, t.sold, t.capacity))
            rows.append((f"  {t.ticket_type}", "", *counts))
    return table(rows)


def stock_line(e: http.EventStock) -> str:
    """Tell of an event's stock at one moment."""
    when = f"{_time(e.as_of)} " if e.as_of else ""
    return f"{when}{e.event}: {e.status}, {e.remaining} remaining, {e.held} held, {e.sold} sold"


def event_line(event: http.Event) -> str:
    """Tell of an event: its status, what is sold at which price, and its limits."""
    priced = ((t, _price(t.price)) for t in event.ticket_types)
    types = ", ".join(
        f"{t.id} {t.capacity} {price if price == FREE else f'at {price}'}" for t, price in priced
    )
    more = {
        "opens": event.opens_at and _time(event.opens_at),
        "closes": event.closes_at and _time(event.closes_at),
        "per order": event.max_per_order,
        "per buyer": event.max_per_buyer,
    }
    told = [types, *(f"{name} {value}" for name, value in more.items() if value is not None)]
    return f"{event.id} ({printable(event.name)}): {event.status}; {'; '.join(told)}"


def event_lines(event: http.Event) -> Iterator[str]:
    """Tell all of an event: when it sells, its limits, and a row for each ticket type."""
    yield f"{event.id} ({printable(event.name)}): {event.status}"
    limits = {
        "opens": event.opens_at and _time(event.opens_at),
        "closes": event.closes_at and _time(event.closes_at),
        "per order": event.max_per_order,
        "per buyer": event.max_per_buyer,
    }
    yield from table(
        (f"  {name}", "no limit" if value is None else str(value)) for name, value in limits.items()
    )
    rows = [("  TICKET TYPE", "CAPACITY", "PRICE")]
    rows += [(f"  {t.id}", str(t.capacity), _price(t.price)) for t in event.ticket_types]
    yield from table(rows)


def audit_lines(event: str, audit: http.Audit) -> Iterator[str]:
    """Tell of an audit: its verdict, then each finding."""
    counts = f"{audit.sold} sold, {audit.held} held, {audit.remaining} remaining"
    verdict = "consistent" if audit.consistent else "NOT CONSISTENT, do not sell on: pause it"
    yield f"{event}: {verdict}; {audit.entries} entries, {audit.orders} orders, {counts}"
    yield from (f"  {finding}" for finding in audit.findings)


def contents_words(contents: Contents) -> str:
    """Tell of a backup: how much it holds, and up to when."""
    told = [count_of(contents.events, "event"), count_of(contents.orders, "order")]
    if contents.newest_sale_ms is not None:
        told.append(f"the newest sold at {_time(_moment(contents.newest_sale_ms))}")
    return ", ".join(told)


def contents_members(contents: Contents) -> dict[str, object]:
    """Tell a machine of a backup."""
    newest_ms = contents.newest_sale_ms
    return {
        "events": contents.events,
        "orders": contents.orders,
        "newest_sale_at": None if newest_ms is None else _moment(newest_ms),
    }


def count_of(number: int, name: str) -> str:
    """Tell how many there are of something."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def stretch(seconds: float) -> str:
    """Tell a stretch of time, roughly."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} days"


def _moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _price(money: http.Money | None) -> str:
    if money is None or money.amount == 0:  # its currency says which prices stand beside it
        return FREE
    if money.currency in WITHOUT_MINOR_UNIT:
        digits = 0
    else:
        digits = 3 if money.currency in IN_THOUSANDTHS else 2
    return f"{money.amount / 10**digits:.{digits}f} {money.currency}"


def printable(text: str) -> str:
    """Put a `?` for what a terminal would obey instead of showing: others chose these words."""
    return "".join(c if c.isprintable() else "?" for c in text)


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Put cells below each other."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_members(error: http.ClientError) -> dict[str, object]:
    """Tell a machine of an error."""
    return {
        "error": type(error).__name__,
        "detail": str(error),
        "key": error.key,
        "problem": getattr(error, "problem", None),
    }


def sentence(error: http.ClientError) -> str:
    """Tell people of an error: what happened, and what to do about it."""
    from service import client as http  # noqa: PLC0415 - serve must not wait for it

    happened = str(error)
    if isinstance(error, http.Refused) and "title" in error.problem:
        happened = f"{error.problem['title']}: {happened}"
    advice = _advice(error)
    happened = " ".join(happened.split()).rstrip(".")
    return f"{happened}; {advice}" if advice else happened


def _advice(error: http.ClientError) -> str:
    from service import client as http  # noqa: PLC0415 - as above

    match error:
        case http.Unsettled():
            return error.__notes__[0]  # from `buy`, which knows what was wished
        case http.Unavailable(reached=False):
            return "is it running? `soldout serve` starts one, --url names another"
        case http.Unavailable():
            return "try again in a moment"
        case http.SoldOut(held=held) if held:
            return f"{held} are held and may come back"
        case http.NotOnSale(event_status="scheduled", opens_at=opens_at) if opens_at:
            return f"it opens at {_time(opens_at)}"
        case http.NotSettled(retry_after_seconds=seconds) if seconds:
            return "it may still be pending: look again in a moment"
        case http.Refused(slug=slug):
            return ADVICE.get(slug, "")
    return ""
