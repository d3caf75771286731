"""`soldout remaining`, `watch` and `audit`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from service.cli.asking import Asking, asks
from service.cli.completion import event_names
from service.cli.progress import progress
from service.cli.screen import Screen
from service.cli.words import audit_lines, stock_line, stock_lines

if TYPE_CHECKING:
    from service.client import EventStock

WATCHING_PATIENCE_SECONDS = 60.0  # who watches sits through a restart


@click.command()
@click.argument("event", required=False, shell_complete=event_names)
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
@click.argument("event", required=False, shell_complete=event_names)
@asks(WATCHING_PATIENCE_SECONDS)
def watch(asking: Asking, event: str | None) -> None:
    """Show how many tickets of EVENT, or of all, are left, live.

    On a terminal the table stays in its place; elsewhere, and with --json, each change is a line.
    Ctrl-C ends it.

    \b
    Examples:
      soldout watch
      soldout watch gala --json
    """
    screen = Screen() if sys.stdout.isatty() and not asking.as_json else None
    known: dict[str, EventStock] = {}
    with suppress(KeyboardInterrupt):
        for stock in asking.client.stream_remaining(event):
            known[stock.event] = stock
            if screen:
                screen.show(list(stock_lines(list(known.values()))))
            else:
                asking.show(stock, [stock_line(stock)])


@click.command()
@click.argument("event", shell_complete=event_names)
@asks(admin=True)
def audit(asking: Asking, event: str) -> None:
    """Check that EVENT's journal, counters, orders and tickets agree.

    The journal is replayed from its first entry; exit status 1 if anything differs.

    \b
    Example:
      soldout audit gala
    """
    with progress(f"auditing {event}"):
        found = asking.client.audit(event)
    asking.show(found, audit_lines(event, found))
    if not found.consistent:
        raise click.exceptions.Exit(1)
