"""The command line: `soldout serve` becomes the service; every other command asks a running one.

Exit status: 0 done; 1 refused, not reached or not known; 2 the command itself is wrong. Results go
to standard output, for people or with `--json` for machines; what went wrong goes to standard error
in one line. `service.client` is imported only by commands that ask: `serve` must not wait for it.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from service.uuid7 import mint_key

if TYPE_CHECKING:
    from service import client as http

DEFAULT_BIND = "127.0.0.1:8000"
DEFAULT_DATA_DIR = "./data"
DEFAULT_CURRENCY = "EUR"
PATIENCE_SECONDS = 5.0  # a service that restarts is back by then; one that is not there is named
BUYING_PATIENCE_SECONDS = 30.0  # a purchase's deadline: by then it is sold or never will be
HASH_PREFIX = "sha256:"  # a service may be given its key so; from it nobody can tell the key
DEMO_EVENT, DEMO_CAPACITY = "demo", 100
# -P: the folder one happens to stand in may hold a `service` or `workers` of its own.
PYTHON = (sys.executable, "-P", "-m")
WEB = ("gunicorn", "--config", "python:service.gunicorn_conf", "service.app:create_app()")

# ISO 4217: the currencies whose minor unit is no hundredth, and the code for none.
WITHOUT_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
IN_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
NO_CURRENCY = "XXX"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="soldout", message="%(prog)s %(version)s")
def main() -> None:
    """Sell scarce tickets under a flash crowd.

    \b
    Examples:
      soldout serve --demo
      soldout event put gala --capacity 100
      soldout buy gala --quantity 2
      soldout remaining gala

    Exit status: 0 done, 1 refused or not reached, 2 misuse.
    """


# --- serving --------------------------------------------------------------------------------------


@main.command()
@click.option("--bind", metavar="HOST:PORT", help="Address to listen on. [127.0.0.1:8000]")
@click.option("--data-dir", metavar="DIRECTORY", help="Where ledger and admin key live. [./data]")
@click.option("--lock", type=click.Choice(["process"]), help="What guards the stock. [process]")
@click.option("--workers", metavar="COUNT", help="Processes that own the stock. [2]")
@click.option("--web-processes", metavar="COUNT", help="Processes that take requests. [2]")
@click.option("--demo", is_flag=True, help="Put a demo event on sale and say how to buy from it.")
def serve(demo: bool, **flags: str | None) -> NoReturn:
    """Run everything on this host: pool of workers, web and ledger.

    Each flag is short for an environment variable (--data-dir for SOLDOUT_DATA_DIR) and goes before
    it. SIGTERM and Ctrl-C drain: what is under way is settled and answered first.

    \b
    Examples:
      soldout serve --demo
      soldout serve --bind 0.0.0.0:8000 --data-dir /var/lib/soldout --workers 4
    """
    given = {f"SOLDOUT_{name.upper()}": value for name, value in flags.items() if value is not None}
    command = [*PYTHON, "workers", "--web", shlex.join([*PYTHON, *WEB])]
    if demo:
        command += ["--when-ready", shlex.join([*PYTHON, "service", "demo"])]
    # Replaced, not kept as a parent: signals and exit status are the supervisor's own.
    os.execve(sys.executable, command, os.environ | given)  # noqa: S606 - our own interpreter


# --- asking ---------------------------------------------------------------------------------------


class Asking(NamedTuple):
    """What a command asks with, and shows what it was told."""

    client: http.Client
    as_json: bool

    def show(self, told: object, lines: Iterable[str]) -> None:
        """Print a result as JSON for machines, or its `lines` for people."""
        if self.as_json:
            _print_json(told)
        else:
            click.echo("\n".join(lines))


class Misuse(click.ClickException):
    """The command cannot be carried out as it stands here, and nobody was asked."""

    exit_code = 2


def asks(
    patience_seconds: float = PATIENCE_SECONDS, *, admin: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of asking a service, and an `Asking` as its first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--url", envvar="SOLDOUT_URL", help="The service. [SOLDOUT_URL, SOLDOUT_BIND]"
        )
        @click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
        @click.option(
            "--patience",
            metavar="SECONDS",
            type=click.FloatRange(min=0),
            default=patience_seconds,
            show_default=True,
            help="How long to try again while no answer comes.",
        )
        @functools.wraps(command)
        def run(url: str | None, as_json: bool, patience: float, **arguments: object) -> None:
            admin_key = find_admin_key(os.environ) if admin else None
            with _asking(url or derive_url(os.environ), admin_key, patience, as_json) as asking:
                command(asking, **arguments)

        return run

    return decorate


@contextmanager
def _asking(url: str, admin_key: str | None, patience: float, as_json: bool) -> Iterator[Asking]:
    """Open a client; turn what goes wrong into one line and an exit status."""
    from service.client import Client, ClientError  # noqa: PLC0415 - serve must not wait for it

    try:
        client = Client(url, admin_key, patience_seconds=patience)
    except ValueError as error:
        raise Misuse(f"{error}; correct --url or SOLDOUT_URL") from None
    with client:
        try:
            yield Asking(client, as_json)
        except ClientError as error:
            if as_json:
                _print_json(_told(error))
            raise click.ClickException(_sentence(error)) from None


def derive_url(environ: Mapping[str, str]) -> str:
    """Return where a service with these settings is found from its own host."""
    host, _, port = (environ.get("SOLDOUT_BIND") or DEFAULT_BIND).rpartition(":")
    everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - replaced, not bound
    return f"http://{everywhere.get(host, host)}:{port}"


def find_admin_key(environ: Mapping[str, str]) -> str:
    """Return the administration's key from where a service with these settings has it."""
    given = environ.get("SOLDOUT_ADMIN_KEY", "")
    if given.startswith(HASH_PREFIX):
        raise _no_admin_key("SOLDOUT_ADMIN_KEY is only its hash")
    if given:
        return given
    data_path = Path(environ.get("SOLDOUT_DATA_DIR") or DEFAULT_DATA_DIR)
    path = Path(environ.get("SOLDOUT_ADMIN_KEY_FILE") or data_path / "admin-key")
    try:
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    except OSError as error:
        raise _no_admin_key(f"{path}: {error.strerror}") from None
    for line in lines:
        if line and not line.startswith(("#", HASH_PREFIX)):
            return line
    raise _no_admin_key(f"{path} holds none, or only hashes")


def _no_admin_key(why: str) -> Misuse:
    places = "SOLDOUT_ADMIN_KEY, SOLDOUT_ADMIN_KEY_FILE or the service's own SOLDOUT_DATA_DIR"
    return Misuse(f"the administration's key is needed, but {why}; set {places}")


# --- buying and looking ---------------------------------------------------------------------------


def _read_each(pattern: str, example: str) -> Callable[..., list[dict[str, str | None]]]:
    """Return a callback that reads each value of a repeated option by a pattern's named groups."""

    def read(
        _context: object, _option: object, values: Sequence[str]
    ) -> list[dict[str, str | None]]:
        matches = [(value, re.fullmatch(pattern, value)) for value in values]
        for value, match in matches:
            if match is None:
                raise click.BadParameter(f"{value!r} is not like {example}")
        return [match.groupdict() for _, match in matches if match]

    return read


@main.command()
@click.argument("event")
@click.option("-q", "--quantity", type=click.IntRange(min=1), help="How many tickets. [1]")
@click.option("--ticket-type", metavar="ID", help="Of which type, if the event has several.")
@click.option(
    "--item",
    "items",
    metavar="TICKET_TYPE:QUANTITY",
    multiple=True,
    callback=_read_each(r"(?P<ticket_type>.+):(?P<quantity>[0-9]+)", "standing:2"),
    help="Several types in one order, all or nothing; may be repeated.",
)
@click.option("--buyer", help="Who buys; needed if the event limits tickets per buyer.")
@click.option("--key", help="The purchase's identity: one key never buys twice. [a new one]")
@click.option(
    "--wait",
    "wait_seconds",
    metavar="SECONDS",
    type=click.IntRange(min=0),
    help="How long the service may keep one request waiting.",
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
    from service.client import Item, Unsettled  # noqa: PLC0415 - see _asking

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
    asking.show(order, _order_lines(order))


def _how_to_ask_again(url: str, event: str, wish: Mapping[str, Any]) -> str:
    words = ["soldout", "buy", event, "--url", url]
    for name in ("quantity", "ticket_type", "buyer", "key"):
        if wish[name]:
            words += ["--" + name.replace("_", "-"), str(wish[name])]
    for item in wish["items"]:
        words += ["--item", f"{item['ticket_type']}:{item['quantity']}"]
    return f"ask again, it cannot buy twice: {shlex.join(words)}"


@main.command()
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
        asking.show(all_stock, _stock_lines(all_stock.events))
    else:
        stock = asking.client.remaining(event)
        asking.show(stock, _stock_lines([stock]))


@main.group("order")
def order_group() -> None:
    """Show an order, or take it back."""


@order_group.command("show")
@click.argument("order_id", metavar="ID")
@asks()
def order_show(asking: Asking, order_id: str) -> None:
    """Print the order with this ID, and its tickets.

    \b
    Example:
      soldout order show 01936b5e-77c8-7f3a-a3c0-1f4e5d6c7b8a
    """
    order = asking.client.order(order_id)
    asking.show(order, _order_lines(order))


@order_group.command("cancel")
@click.argument("order_id", metavar="ID")
@asks(admin=True)
def order_cancel(asking: Asking, order_id: str) -> None:
    """Take the order with this ID back; its tickets can be sold again.

    \b
    Example:
      soldout order cancel 01936b5e-77c8-7f3a-a3c0-1f4e5d6c7b8a
    """
    order = asking.client.cancel_order(order_id)
    asking.show(order, _order_lines(order))


# --- administration -------------------------------------------------------------------------------


def _read_moment(_context: object, _option: object, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(f"{value!r} is not like 2026-11-23T09:00:00Z, zone included")
    return moment


@main.group("event")
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
    callback=_read_each(
        r"(?P<id>[^:]+):(?P<capacity>[0-9]+)(:(?P<amount>[0-9]+)(:(?P<currency>[A-Z]{3}))?)?",
        "vip:10, vip:10:9900 or vip:10:9900:EUR",
    ),
    help=f"Price in minor units, such as cents, and {DEFAULT_CURRENCY} by default; repeatable.",
)
@click.option("--name", help="What people read. [EVENT]")
@click.option("--opens-at", metavar="TIME", callback=_read_moment, help="2026-11-23T09:00:00Z")
@click.option("--closes-at", metavar="TIME", callback=_read_moment, help="2026-11-24T09:00:00Z")
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
    asking.show(found, [_event_line(found)])


def _ticket_type(read: dict[str, str]) -> http.TicketType:
    from service.client import Money, TicketType  # noqa: PLC0415 - see _asking

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
    asking.show({"events": events}, map(_event_line, events) if events else ["no events yet"])


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
    asking.show(found, [_event_line(found)])


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
    asking.show(found, [_event_line(found)])


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
    asking.show(found, [_event_line(found)])


@main.command()
@click.argument("event")
@asks(admin=True)
def audit(asking: Asking, event: str) -> None:
    """Replay EVENT's journal and compare it with what else is known; exit status 1 if they differ.

    \b
    Example:
      soldout audit gala
    """
    found = asking.client.audit(event)
    asking.show(found, _audit_lines(event, found))
    if not found.consistent:
        raise click.exceptions.Exit(1)


@main.command(hidden=True)
def demo() -> None:
    """Put the demo event on sale, if it is not, and say how to buy from it: `serve --demo`."""
    from service.client import UnknownEvent  # noqa: PLC0415 - see _asking

    # Not SOLDOUT_URL: the demo belongs to the service that was just started here.
    url = derive_url(os.environ)
    with _asking(url, find_admin_key(os.environ), PATIENCE_SECONDS, as_json=False) as asking:
        try:
            asking.client.event(DEMO_EVENT)
        except UnknownEvent:
            asking.client.put_event(DEMO_EVENT, name="The demo", capacity=DEMO_CAPACITY)
    body = f'{{"event": "{DEMO_EVENT}", "quantity": 1}}'
    click.echo(
        f"soldout: buy a ticket with curl {url}/buy -H 'Content-Type: application/json'"
        f" -d '{body}' and look at {url}/remaining"
    )


# --- words ----------------------------------------------------------------------------------------


def _print_json(told: object) -> None:
    import msgspec  # noqa: PLC0415 - see _asking

    click.echo(msgspec.json.encode(told))


def _order_lines(order: http.Order) -> Iterator[str]:
    count = len(order.tickets)
    told = [f"order {order.id}", f"{count} ticket{'' if count == 1 else 's'} of {order.event}"]
    if order.total and order.total.currency != NO_CURRENCY:
        told.append(_price(order.total))
    yield f"{order.status}: {', '.join(told)}"
    yield from _table((f"  {t.number}", t.ticket_type, t.code) for t in order.tickets)


def _stock_lines(events: Sequence[http.EventStock]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("EVENT", "STATUS", "REMAINING", "HELD", "SOLD", "CAPACITY")]
    for e in events:
        rows.append((e.event, e.status, *map(str, (e.remaining, e.held, e.sold, e.capacity))))
        for t in e.ticket_types if len(e.ticket_types) > 1 else ():
            counts = map(str, (t.remaining, t.held, t.sold, t.capacity))
            rows.append((f"  {t.ticket_type}", "", *counts))
    return _table(rows)


def _event_line(event: http.Event) -> str:
    types = ", ".join(
        f"{t.id} {t.capacity}" + (f" at {_price(t.price)}" if t.price and t.price.amount else "")
        for t in event.ticket_types
    )
    more = {
        "opens": event.opens_at and _time(event.opens_at),
        "closes": event.closes_at and _time(event.closes_at),
        "per order": event.max_per_order,
        "per buyer": event.max_per_buyer,
    }
    told = [types, *(f"{name} {value}" for name, value in more.items() if value is not None)]
    return f"{event.id} ({event.name}): {event.status}; {'; '.join(told)}"


def _audit_lines(event: str, audit: http.Audit) -> Iterator[str]:
    counts = f"{audit.sold} sold, {audit.held} held, {audit.remaining} remaining"
    verdict = "consistent" if audit.consistent else "NOT CONSISTENT"
    yield f"{event}: {verdict}; {audit.entries} entries, {audit.orders} orders, {counts}"
    yield from (f"  {finding}" for finding in audit.findings)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _price(money: http.Money) -> str:
    if money.currency in WITHOUT_MINOR_UNIT:
        digits = 0
    else:
        digits = 3 if money.currency in IN_THOUSANDTHS else 2
    return f"{money.amount / 10**digits:.{digits}f} {money.currency}"


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _told(error: http.ClientError) -> dict[str, object]:
    """Return an error for machines."""
    return {
        "error": type(error).__name__,
        "detail": str(error),
        "key": error.key,
        "problem": getattr(error, "problem", None),
    }


def _sentence(error: http.ClientError) -> str:
    """Return an error for people: what happened, and what to do about it."""
    from service import client as http  # noqa: PLC0415 - see _asking

    happened = str(error)
    if isinstance(error, http.Refused) and "title" in error.problem:
        happened = f"{error.problem['title']}: {happened}"
    match error:
        case http.Unsettled():
            advice = error.__notes__[0]  # from `buy`, which knows what was wished
        case http.Unavailable(reached=False):
            advice = "is it running? `soldout serve` starts one, --url names another"
        case http.Unavailable():
            advice = "try again in a moment"
        case http.SoldOut(held=held) if held:
            advice = f"{held} are held and may come back"
        case http.NotOnSale(event_status="scheduled", opens_at=opens_at) if opens_at:
            advice = f"it opens at {_time(opens_at)}"
        case http.UnknownEvent() | http.UnknownTicketType():
            advice = "`soldout event list` names them all"
        case http.KeyReused():
            advice = "use a new --key for a new purchase"
        case http.Unauthorized() | http.Forbidden():
            advice = "set SOLDOUT_ADMIN_KEY to this service's key"
        case _:
            advice = ""
    happened = " ".join(happened.split()).rstrip(".")
    return f"{happened}; {advice}" if advice else happened
