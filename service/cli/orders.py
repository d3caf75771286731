"""`soldout buy`, and `order show`, `list`, `find` and `cancel`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from service.cli.asking import Asking, asks
from service.cli.completion import event_names
from service.cli.exports import lines_of_buyer
from service.cli.options import WholeNumber, read_each, read_order_ids
from service.cli.progress import progress
from service.cli.words import order_line, order_lines, orders_lines
from service.uuid7 import mint_key

if TYPE_CHECKING:
    from service.client import Client, Order

WAIT_MAX_SECONDS = 600  # no service lets its requests wait for longer
BUYING_PATIENCE_SECONDS = 30.0  # as long as a purchase has by default, before its deadline


@click.command()
@click.argument("event", shell_complete=event_names)
@click.option("-q", "--quantity", type=WholeNumber(1), help="How many tickets. [1]")
@click.option("--ticket-type", metavar="ID", help="Of which type, if the event has several.")
@click.option(
    "--item",
    "items",
    metavar="TICKET_TYPE:QUANTITY",
    multiple=True,
    callback=read_each(r"(?P<ticket_type>.+):(?P<quantity>[0-9]{1,15})", "standing:2"),
    help="Several types in one order, all or nothing; may be repeated.",
)
@click.option("--buyer", help="Who buys; needed if the event limits tickets per buyer.")
@click.option("--key", help="The purchase's identity: one key never buys twice. [a new one]")
@click.option(
    "--wait",
    "wait_seconds",
    metavar="SECONDS",
    type=WholeNumber(0, WAIT_MAX_SECONDS, " of seconds"),
    help="How long the service may keep one request waiting: 0 to 600, and not past its deadline.",
)
@asks(BUYING_PATIENCE_SECONDS)
def buy(asking: Asking, event: str, wait_seconds: int | None, **wish: Any) -> None:
    """Buy tickets of EVENT; print the order and its ticket numbers.

    Should the outcome stay unknown, the command to ask again is printed, with the purchase's key.

    \b
    Examples:
      soldout buy gala
      soldout buy gala --quantity 2 --buyer ann@example.com
      soldout buy gala --item standing:2 --item vip:1
    """
    from service.client import Item, Unsettled  # noqa: PLC0415 - serve must not wait for it

    if wish["items"] and (wish["quantity"] or wish["ticket_type"]):
        raise click.UsageError("--item goes without --quantity and --ticket-type")
    wish["key"] = wish["key"] or mint_key()
    items = [Item(int(item["quantity"]), item["ticket_type"]) for item in wish["items"]]
    wanted = wish | {"quantity": wish["quantity"] or 1, "items": items or None}
    again = _how_to_ask_again(asking.client.base_url, event, wish)
    try:
        order = asking.client.buy(event, wait_seconds=wait_seconds, **wanted)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except Unsettled as error:
        error.add_note(again)
        raise
    except KeyboardInterrupt:
        raise click.ClickException(f"interrupted; {again}") from None
    asking.show(order, order_lines(order))
    if order.status == "cancelled":
        raise click.ClickException("this purchase was made and cancelled; a new key buys anew")


def _how_to_ask_again(url: str, event: str, wish: Mapping[str, Any]) -> str:
    words = ["soldout", "buy", event, "--url", url]
    for name in ("quantity", "ticket_type", "buyer", "key"):
        if wish[name]:
            words += ["--" + name.replace("_", "-"), str(wish[name])]
    for item in wish["items"]:
        words += ["--item", f"{item['ticket_type']}:{item['quantity']}"]
    return f"ask again, it cannot buy twice: {shlex.join(words)}"


@click.group("order")
def order_group() -> None:
    """Show orders, find them, or take them back."""


@order_group.command("show")
@click.argument("order_id", metavar="ID", callback=read_order_ids)
@asks()
def order_show(asking: Asking, order_id: str) -> None:
    """Print the order with this ID, and its tickets.

    \b
    Example:
      soldout order show 01936b5e-77c8-7f3a-a3c0-1f4e5d6c7b8a
    """
    order = asking.client.order(order_id)
    asking.show(order, order_lines(order))


@order_group.command("list")
@click.argument("event", shell_complete=event_names)
@click.option("--buyer", help="Only those of this buyer.")
@click.option("--ids", "as_ids", is_flag=True, help="Print their ids alone, one a line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line a ticket.")
@asks(admin=True)
def order_list(asking: Asking, event: str, buyer: str | None, as_ids: bool, as_csv: bool) -> None:
    """Print EVENT's orders in the order of sale.

    \b
    Examples:
      soldout order list gala
      soldout order list gala --csv > gala.csv
      soldout order list gala --buyer ann@example.com --ids | xargs -r soldout order cancel
    """
    if as_csv + as_ids + asking.as_json > 1:
        raise click.UsageError("take one of --csv, --ids and --json")
    if as_csv:
        _export(asking.client, event, buyer)
        return
    orders = [o for o in asking.client.orders(event) if buyer is None or o.buyer == buyer]
    if as_ids:
        click.echo("".join(f"{order.id}\n" for order in orders), nl=False)
        return
    of_whom = event if buyer is None else f"{event} for {buyer}"
    asking.show(
        {"orders": orders}, orders_lines(orders) if orders else [f"no orders of {of_whom} yet"]
    )


def _export(client: Client, event: str, buyer: str | None) -> None:
    lines, expected = 0, client.remaining(event).sold or 1

    def pieces() -> Iterator[bytes]:
        nonlocal lines
        for piece in client.orders_csv(event):
            yield piece
            lines += piece.count(b"\n")

    told = nullcontext() if sys.stdout.isatty() else progress(event, lambda: lines / expected)
    with told:
        for piece in pieces() if buyer is None else lines_of_buyer(pieces(), buyer):
            click.echo(piece, nl=False)


@order_group.command("find")
@click.argument("key")
@asks(admin=True)
def order_find(asking: Asking, key: str) -> None:
    """Print the order that was bought under KEY.

    \b
    Example:
      soldout order find my-first-purchase
    """
    try:
        order = asking.client.find_order(key)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    asking.show(order, order_lines(order))


@order_group.command("cancel")
@click.argument("order_ids", metavar="ID...", nargs=-1, required=True, callback=read_order_ids)
@asks(admin=True)
def order_cancel(asking: Asking, order_ids: tuple[str, ...]) -> None:
    """Take orders back, by their IDs; their tickets can be sold again.

    One after the other, until one is refused; what is cancelled by then is printed, a line each. To
    cancel an order again changes nothing.

    \b
    Example:
      soldout order cancel 01936b5e-77c8-7f3a-a3c0-1f4e5d6c7b8a
    """
    cancelled: list[Order] = []
    try:
        with progress("cancelling", lambda: len(cancelled) / len(order_ids)):
            for order_id in order_ids:
                cancelled.append(asking.client.cancel_order(order_id))  # noqa: PERF401 - kept if one fails
    finally:
        for order in cancelled:
            asking.show(order, [order_line(order)])
