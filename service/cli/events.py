"""`soldout event …`: put on sale, look at, pause, resume, close."""

from __future__ import annotations

from typing import Any

import click

from service.cli.asking import Asking, asks
from service.cli.completion import event_names
from service.cli.event_changes import DEFAULT_CURRENCY, merge
from service.cli.options import WholeNumber, read_each, read_limit, read_moment
from service.cli.words import event_line, event_lines

NO_EVENTS = "no events yet; `soldout event put gala --capacity 100` puts one on sale"


@click.group("event")
def event_group() -> None:
    """Put events on sale, look at them, pause, resume and close them."""


@event_group.command("put")
@click.argument("event", shell_complete=event_names)
@click.option("--capacity", type=WholeNumber(0), help="Tickets of the only ticket type.")
@click.option(
    "--ticket-type",
    "ticket_types",
    metavar="ID:CAPACITY[:AMOUNT[:CURRENCY]]",
    multiple=True,
    callback=read_each(
        r"(?P<id>[^:]+):(?:none|(?P<capacity>[0-9]{1,15})(:(?P<amount>[0-9]{1,15})(:(?P<currency>[A-Z]{3}))?)?)",
        "vip:10, vip:10:9900, vip:10:9900:EUR or vip:none",
    ),
    help=f"A ticket type to add or change; repeatable. The price is in minor units, such as cents,"
    f" in {DEFAULT_CURRENCY} unless the event has another currency.",
)
@click.option("--name", help="What people read. [EVENT]")
@click.option("--opens-at", metavar="TIME", callback=read_moment, help="2026-11-23T09:00:00Z")
@click.option("--closes-at", metavar="TIME", callback=read_moment, help="2026-11-24T09:00:00Z")
@click.option(
    "--max-per-order", metavar="NUMBER", callback=read_limit, help="Tickets in one order."
)
@click.option("--max-per-buyer", metavar="NUMBER", callback=read_limit, help="Of one buyer in all.")
@asks(admin=True)
def event_put(asking: Asking, event: str, **typed: Any) -> None:
    """Put EVENT on sale, or change what is named of it.

    What is not named stays as it is. `none` takes away a limit, a time or, as in vip:none, a ticket
    type that nobody bought.

    \b
    Examples:
      soldout event put gala --capacity 100
      soldout event put gala --ticket-type standing:90:2500 --ticket-type vip:10:9900:EUR
      soldout event put gala --opens-at 2026-11-23T09:00:00Z --max-per-buyer 4
      soldout event put gala --max-per-buyer none
    """
    if typed["capacity"] is not None and typed["ticket_types"]:
        raise click.UsageError("give either --capacity or --ticket-type")
    if not any(value not in (None, []) for value in typed.values()):
        raise click.UsageError("say what to put or change, such as --capacity 100")
    from service.client import UnknownEvent  # noqa: PLC0415 - serve must not wait for it

    try:
        found = asking.client.event(event)
    except UnknownEvent:
        found = None
    put = asking.client.put_event(event, **merge(event, found, typed))
    asking.show(put, [event_line(put)])


@event_group.command("list")
@asks()
def event_list(asking: Asking) -> None:
    """Print what is on sale.

    \b
    Example:
      soldout event list
    """
    events = asking.client.events()
    asking.show({"events": events}, map(event_line, events) if events else [NO_EVENTS])


@event_group.command("show")
@click.argument("event", shell_complete=event_names)
@asks()
def event_show(asking: Asking, event: str) -> None:
    """Print what EVENT sells, when and for how much.

    \b
    Example:
      soldout event show gala
    """
    found = asking.client.event(event)
    asking.show(found, event_lines(found))


@event_group.command("pause")
@click.argument("event", shell_complete=event_names)
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
@click.argument("event", shell_complete=event_names)
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
@click.argument("event", shell_complete=event_names)
@asks(admin=True)
def event_close(asking: Asking, event: str) -> None:
    """Stop selling EVENT.

    \b
    Example:
      soldout event close gala
    """
    found = asking.client.close_event(event)
    asking.show(found, [event_line(found)])
