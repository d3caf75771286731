"""The command line: `soldout serve` becomes the service; every other command asks a running one.

Exit status: 0 done; 1 refused, not reached or not known; 2 the command itself is wrong. Results go
to standard output, for people or with `--json` for machines; what went wrong goes to standard error
in one line. `requests` and what needs it is imported only by the commands that ask: `serve` must not
wait for it.
"""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from service import client as soldout

DEFAULT_BIND = "127.0.0.1:8000"
DEFAULT_DATA_DIR = "./data"
DEFAULT_CURRENCY = "EUR"
# A service that restarts is back within 2 s; one that is not there should be named soon.
PATIENCE_SECONDS = 5.0
BUYING_PATIENCE_SECONDS = 30.0  # a purchase's deadline: by then it is sold or never will be
DEMO_EVENT = "demo"
DEMO_CAPACITY = 100
WEB = ("gunicorn", "--config", "python:service.gunicorn_conf", "service.app:create_app()")
# ISO 4217: currencies whose minor unit is not a hundredth.
MINOR_DIGITS = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
) | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
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
    """


# --- serving --------------------------------------------------------------------------------------


@main.command()
@click.option("--bind", metavar="HOST:PORT", help="Address to listen on. [127.0.0.1:8000]")
@click.option("--data-dir", metavar="DIRECTORY", help="Where ledger and admin key live. [./data]")
@click.option("--lock", type=click.Choice(["process"]), help="What guards the stock. [process]")
@click.option("--workers", metavar="COUNT", help="Processes that own the stock. [2]")
@click.option("--web-processes", metavar="COUNT", help="Processes that take requests. [2]")
@click.option("--demo", is_flag=True, help="Put a demo event on sale, and say how to buy from it.")
def serve(demo: bool, **flags: str | None) -> NoReturn:
    """Run everything on this host: pool of workers, web and ledger.

    Each flag stands for the variable of its name (--data-dir for SOLDOUT_DATA_DIR) and goes before
    it. SIGTERM and Ctrl-C drain: what is under way is settled and answered first.

    \b
    Examples:
      soldout serve --demo
      soldout serve --bind 0.0.0.0:8000 --data-dir /var/lib/soldout --workers 4
    """
    given = {f"SOLDOUT_{name.upper()}": value for name, value in flags.items() if value is not None}
    command = [sys.executable, "-m", "workers", "--web", shlex.join([sys.executable, "-m", *WEB])]
    if demo:
        command += ["--when-ready", shlex.join([sys.executable, "-m", "service", "demo"])]
    os.execve(sys.executable, command, os.environ | given)  # noqa: S606 - our own interpreter


# --- asking a running service ---------------------------------------------------------------------


class Asking(NamedTuple):
    """What a command needs in order to ask: a client, and how to show what it said."""

    client: soldout.Client
    as_json: bool

    def show(self, result: object, lines: Iterable[str]) -> None:
        """Print a result as JSON for machines, or its `lines` for people."""
        click.echo(_json(result) if self.as_json else "\n".join(lines))


def asks(
    patience_seconds: float = PATIENCE_SECONDS, *, admin: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of asking, and an `Asking` as its first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--url", envvar="SOLDOUT_URL", help="The service. [from SOLDOUT_BIND]")
        @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
        @click.option(
            "--patience",
            metavar="SECONDS",
            type=click.FloatRange(min=0),
            default=patience_seconds,
            show_default=True,
            help="How long to try again while there is no answer.",
        )
        @functools.wraps(command)
        def run(url: str | None, as_json: bool, patience: float, **arguments: object) -> None:
            admin_key = _admin_key(os.environ) if admin else None
            with _asking(url or _url(os.environ), admin_key, patience, as_json) as asking:
                command(asking, **arguments)

        return run

    return decorate


@contextmanager
def _asking(url: str, admin_key: str | None, patience: float, as_json: bool) -> Iterator[Asking]:
    """Open a client, and turn whatever goes wrong into one line and an exit status."""
    from service.client import Client, ClientError  # noqa: PLC0415 - slow to import, see above

    try:
        client = Client(url, admin_key, patience_seconds=patience)
    except ValueError as error:
        raise Misuse(f"{error}; give --url or SOLDOUT_URL") from None
    with client:
        try:
            yield Asking(client, as_json)
        except ClientError as error:
            if as_json:
                click.echo(_json(_told(error)))
            raise click.ClickException(_sentence(error)) from None


class Misuse(click.ClickException):
    """The command cannot even be asked, for a reason outside its arguments."""

    exit_code = 2


def _url(environ: Mapping[str, str]) -> str:
    """Return where a service with these settings listens, as seen from its own host."""
    host, _, port = (environ.get("SOLDOUT_BIND") or DEFAULT_BIND).rpartition(":")
    anywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - to be asked, not to listen
    return f"http://{anywhere.get(host, host)}:{port}"


def _admin_key(environ: Mapping[str, str]) -> str:
    """Return the administration's key, from where a service with these settings has it."""
    given = environ.get("SOLDOUT_ADMIN_KEY")
    if given:
        return given
    data_dir = Path(environ.get("SOLDOUT_DATA_DIR") or DEFAULT_DATA_DIR)
    path = Path(environ.get("SOLDOUT_ADMIN_KEY_FILE") or data_dir / "admin-key")
    advice = "set SOLDOUT_ADMIN_KEY, SOLDOUT_ADMIN_KEY_FILE or the service's SOLDOUT_DATA_DIR"
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise Misuse(f"this needs the admin key, but {path}: {reason}; {advice}") from None
    for line in lines:
        if line and not line.startswith(("#", "sha256:")):  # a hash is for the service alone
            return line
    raise Misuse(f"this needs the admin key, but {path} holds none; {advice}")


# --- buying and looking ---------------------------------------------------------------------------


def _item(_context: object, _parameter: object, values: tuple[str, ...]) -> list[tuple[str, int]]:
    """Read TICKET_TYPE:QUANTITY."""
    items = []
    for value in values:
        ticket_type, _, quantity = value.rpartition(":")
        if not ticket_type or not quantity.isdecimal():
            raise click.BadParameter(f"{value!r} is not like standing:2")
        items.append((ticket_type, int(quantity)))
    return items


@main.command()
@click.argument("event")
@click.option("-q", "--quantity", type=click.IntRange(min=1), help="How many tickets. [1]")
@click.option("--ticket-type", help="Of which kind; needed if the event has several.")
@click.option(
    "--item",
    "items",
    metavar="TICKET_TYPE:QUANTITY",
    multiple=True,
    callback=_item,
    help="Several kinds in one order, all or nothing; may be repeated.",
)
@click.option("--buyer", help="Who buys; needed if the event limits tickets per buyer.")
@click.option("--key", help="The purchase's identity: the same key never buys twice.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.IntRange(min=0),
    metavar="SECONDS",
    help="How long the service may keep one request waiting.",
)
@asks(BUYING_PATIENCE_SECONDS)
def buy(asking: Asking, event: str, **wish: Any) -> None:
    """Buy tickets of EVENT; print the order and the ticket numbers.

    Without --key one is made. If the outcome stays unknown, the key is printed: the same command
    with that --key tells, and buys only if nothing was bought.

    \b
    Examples:
      soldout buy gala
      soldout buy gala --quantity 2 --buyer ann@example.com
      soldout buy gala --item standing:2 --item vip:1
    """
    from service.client import Item, Unsettled, mint_key  # noqa: PLC0415 - slow, see above

    if wish["items"] and (wish["quantity"] or wish["ticket_type"]):
        raise click.UsageError("--item goes without --quantity and --ticket-type")
    wish["key"] = wish["key"] or mint_key()
    items = [Item(quantity, ticket_type) for ticket_type, quantity in wish["items"]]
    try:
        order = asking.client.buy(
            event, **wish | {"quantity": wish["quantity"] or 1, "items": items or None}
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--key") from None
    except Unsettled as error:
        error.add_note(_again(event, wish))
        raise
    except KeyboardInterrupt:
        raise click.ClickException(f"interrupted; {_again(event, wish)}") from None
    asking.show(order, _order_lines(order))


def _again(event: str, wish: Mapping[str, Any]) -> str:
    """Say how to learn what became of a purchase."""
    options = {
        f"--{name.replace('_', '-')}": wish[name]
        for name in ("quantity", "ticket_type", "buyer", "key")
    }
    words = ["soldout", "buy", event]
    words += [f"{name}={value}" for name, value in options.items() if value]
    words += [f"--item={ticket_type}:{quantity}" for ticket_type, quantity in wish["items"]]
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
    found = asking.client.remaining() if event is None else asking.client.remaining(event)
    asking.show(found, _remaining_lines([found] if event else found.events))


@main.group()
def order() -> None:
    """Show an order, or take it back."""


@order.command("show")
@click.argument("order_id", metavar="ID", required=False)
@click.option("--key", help="Find the order by the key it was bought under (administration).")
@click.pass_context
def order_show(context: click.Context, **arguments: Any) -> None:
    """Print an order and its tickets, by its ID or by its purchase's key.

    \b
    Examples:
      soldout order show 01936b5e-77c8-7f3a-a3c0-1f4e5d6c7b8a
      soldout order show --key 01936b5e-77c8-7f3a-a3c0-1f4e5d6c7b8a
    """
