"""`soldout event …`, `remaining`, `watch` and `audit`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from service.cli.asking import Asking, asks
from service.cli.options import read_each, read_moment
from service.cli.words import audit_lines, event_line, stock_line, stock_lines

if TYPE_CHECKING:
    from service.client import EventStock, TicketType

DEFAULT_CURRENCY = "EUR"
WATCHING_PATIENCE_SECONDS = 60.0  # who watches sits through a restart


@click.group("event")
def event_group() -> None:
    """Put events on sale; pause, resume and close them."""


@event_group.command("put")
@click.argument("event")
@click.option("--capacity", type=click.IntRange(min=0), help="Tickets of one type, `general`.")
@click.option(
    "--ticket-type",
    "ticket_types",
    metavar="ID:CAPACITY[:AMOUNT[:CURRENCY]]",
    multiple=True,
    callback=read_each(
        r"(?P<id>[^:]+):(?P<capacity>[0-9]+)(:(?P<amount>[0-9]+)(:(?P<currency>[A-Z]{3}))?)?",
        "vip:10, vip:10:9900 or vip:10:9900:EUR",
    ),
    help=f"Price in minor units, such as cents, and {DEFAULT_CURRENCY} by default; repeatable.",
)
@click.option("--name", help="What people read. [EVENT]")
@click.option("--opens-at", metavar="TIME", callback=read_moment, help="2026-11-23T09:00:00Z")
@click.option("--closes-at", metavar="TIME", callback=read_moment, help="2026-11-24T09:00:00Z")
@click.option("--max-per-order", type=click.IntRange(min=1), help="Tickets in one order.")
@click.option("--max-per-buyer", type=click.IntRange(min=1), help="Tickets of one buyer in all.")
@asks(admin=True)
def event_put(asking: Asking, event: str, **members: Any) -> None:
    """Create EVENT, or make it what the command says: what is left out is unset again.

    \b
    Examples:
      soldout event put gala --capacity 100
      soldout event put gala --ticket-type standing:90:2500 --ticket-type vip:10:9900:EUR
      soldout event put gala --capacity 100 --opens-at 2026-11-23T09:00:00Z --max-per-buyer 4
    """
    if (members["capacity"] is None) == (not members["ticket_types"]):
        raise click.UsageError("give either --capacity or --ticket-type")
    members["ticket_types"] = [_ticket_type(read) for read in members["ticket_types"]]
    given = {name: value for name, value in members.items() if value not in (None, [])}
    found = asking.client.put_event(event, **given)
    asking.show(found, [event_line(found)])


def _ticket_type(read: dict[str, str]) -> TicketType:
    from service.client import Money, TicketType  # noqa: PLC0415 - serve must not wait for it

    price = None
    if read["amount"]:
        price = Money(int(read["amount"]), read["currency"] or DEFAULT_CURRENCY)
    return TicketType(read["id"], int(read["capacity"]), price)


@event_group.command("list")
@asks()
def event_list(asking: Asking) -> None:
    """Print what is on sale.

    \b
    Example:
      soldout event list
    """
    events = asking.client.events()
    asking.show({"events": events}, map(event_line, events) if events else ["no events yet"])


@event_group.command("pause")
@click.argument("event")
@asks(admin=True)
def event_pause(asking: Asking, event: str) -> None:
    """Stop selling EVENT until it is resumed.

    \b
    Example:
      soldout event pause gala
    """
    found = asking.client.pause_event(event)
    asking.show(found, [event_line(found)])


@event_group.command("resume")
@click.argument("event")
@asks(admin=True)
def event_resume(asking: Asking, event: str) -> None:
    """Sell EVENT again.

    \b
    Example:
      soldout event resume gala
    """
    found = asking.client.resume_event(event)
    asking.show(found, [event_line(found)])


@event_group.command("close")
@click.argument("event")
@asks(admin=True)
def event_close(asking: Asking, event: str) -> None:
    """Stop selling EVENT.

    \b
    Example:
      soldout event close gala
    """
    found = asking.client.close_event(event)
    asking.show(found, [event_line(found)])


@click.command()
@click.argument("event", required=False)
@asks()
def remaining(asking: Asking, event: str | None) -> None:
    """Print how many tickets of EVENT, or of every event, are left.

    \b
    Examples:
      soldout remaining
      soldout remaining gala --json
    """
    if event is None:
        all_stock = asking.client.remaining()
        asking.show(all_stock, stock_lines(all_stock.events))
    else:
        stock = asking.client.remaining(event)
        asking.show(stock, stock_lines([stock]))


@click.command()
@click.argument("event", required=False)
@asks(WATCHING_PATIENCE_SECONDS)
def watch(asking: Asking, event: str | None) -> None:
    """Show how many tickets of EVENT, or of every event, are left, as they are sold.

    On a terminal the table stays in its place; elsewhere, and with --json, each change is a line.
    Ctrl-C ends it.

    \b
    Examples:
      soldout watch
      soldout watch gala --json
    """
    on_terminal = sys.stdout.isatty() and not asking.as_json
    known: dict[str, EventStock] = {}
    with suppress(KeyboardInterrupt):
        for stock in asking.client.stream_remaining(event):
            known[stock.event] = stock
            if on_terminal:
                click.clear()
                click.echo("\n".join(stock_lines(list(known.values()))))
            else:
                asking.show(stock, [stock_line(stock)])


@click.command()
@click.argument("event")
@asks(admin=True)
def audit(asking: Asking, event: str) -> None:
    """Replay EVENT's journal and compare it with what else is known; exit status 1 if they differ.

    \b
    Example:
      soldout audit gala
    """
    found = asking.client.audit(event)
    asking.show(found, audit_lines(event, found))
    if not found.consistent:
        raise click.exceptions.Exit(1)
