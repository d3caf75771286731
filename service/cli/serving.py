"""`soldout serve`, `web` and `workers`, which become the service, and the demo event of `serve`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

import click

from service.cli.asking import ask_at
from service.cli.environment import derive_url, find_admin_key

DEMO_EVENT, DEMO_CAPACITY = "demo", 100
# -P: the folder one happens to stand in may hold a `service` or `workers` of its own.
PYTHON = (sys.executable, "-P", "-m")
WEB = ("gunicorn", "--config", "python:service.gunicorn_conf", "service.app:create_app()")


_BIND = click.option("--bind", metavar="HOST:PORT", help="Address to listen on. [127.0.0.1:8000]")
_LOCK = click.option(
    "--lock",
    type=click.Choice(["process", "redis"]),
    help="What guards the stock: a lock of this host's processes, with the ledger in a file, or one"
    " in Redis, with the ledger there. [process]",
)
_LOCK_APART = click.option(
    "--lock",
    metavar="redis",
    help="What guards the stock; web and workers apart need redis. [redis]",
)
_REDIS_URL = click.option(
    "--redis-url",
    metavar="URL",
    help="Which Redis: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://. A"
    " password is better kept in SOLDOUT_REDIS_PASSWORD_FILE. [redis://127.0.0.1:6379/0]",
)
_SHARDS = click.option(
    "--shards",
    metavar="COUNT",
    help="Parts of a new ledger in Redis, over which events are spread; they sell independently,"
    " and each needs a worker in every pool. [what the ledger has, else 1]",
)
_WORKERS = click.option("--workers", metavar="COUNT", help="Processes that own the stock. [2]")
_WEB_PROCESSES = click.option(
    "--web-processes", metavar="COUNT", help="Processes that take requests. [2]"
)


def _data_dir(kept: str) -> Callable[[Callable[..., NoReturn]], Callable[..., NoReturn]]:
    help_text = f"A directory of its own, for {kept}. [./data]"
    return click.option("--data-dir", metavar="DIRECTORY", help=help_text)


@click.command()
@_BIND
@_data_dir("ledger and admin key")
@_LOCK
@_REDIS_URL
@_SHARDS
@_WORKERS
@_WEB_PROCESSES
@click.option("--demo", is_flag=True, help="Put a demo event on sale and say how to buy from it.")
def serve(demo: bool, **flags: str | None) -> NoReturn:
    """Run everything on this host: pool of workers, web and ledger.

    Each flag is short for an environment variable (--data-dir for SOLDOUT_DATA_DIR) and goes before
    it. SIGTERM and Ctrl-C drain: what is under way is settled and answered first.

    With --lock redis the ledger is in Redis, and further hosts may serve from it: with `serve`, or
    with `web` and `workers` apart.

    \b
    Examples:
      soldout serve --demo
      soldout serve --bind 0.0.0.0:8000 --data-dir /var/lib/soldout --workers 4
      soldout serve --lock redis --redis-url redis://10.0.0.5:6379/0
    """
    when_ready = ["--when-ready", shlex.join([*PYTHON, "service", "demo"])] if demo else []
    _become([*_web(), *when_ready], flags)


@click.command()
@_BIND
@_data_dir("the admin key and what it has seen of the ledger")
@_LOCK_APART
@_REDIS_URL
@_SHARDS
@_WEB_PROCESSES
def web(**flags: str | None) -> NoReturn:
    """Run the web alone, for workers on any host.

    They settle what it takes, through Redis. It is ready, and says so, when a worker answers.
    SIGTERM and Ctrl-C drain: what is under way is answered first. Flags are short for environment
    variables, as with `serve`. Webs of one service
    share an admin key by SOLDOUT_ADMIN_KEY or SOLDOUT_ADMIN_KEY_FILE.

    \b
    Examples:
      soldout web --redis-url redis://10.0.0.5:6379/0
      soldout web --bind 0.0.0.0:8000 --data-dir /var/lib/soldout-web --web-processes 4
    """
    _become([*_web(), "--no-pool"], flags | {"lock": _apart(flags["lock"])})


@click.command()
@_data_dir("what it has seen of the ledger")
@_LOCK_APART
@_REDIS_URL
@_SHARDS
@_WORKERS
def workers(**flags: str | None) -> NoReturn:
    """Run a pool of workers alone, for webs on any host.

    They settle what webs take, through Redis. As many pools as you like share the work. SIGTERM and
    Ctrl-C drain: what a worker has begun it ends, the rest is left to others. Flags are short for
    environment variables, as with `serve`.

    \b
    Examples:
      soldout workers --redis-url redis://10.0.0.5:6379/0
      soldout workers --workers 8 --shards 8 --data-dir /var/lib/soldout-workers
    """
    _become([], flags | {"lock": _apart(flags["lock"])})


def _apart(lock: str | None) -> str:
    """Return the lock of a web or a pool alone."""
    found = lock or os.environ.get("SOLDOUT_LOCK") or "redis"
    if found != "redis":
        name = "--lock" if lock else "SOLDOUT_LOCK"
        raise click.UsageError(
            f"{name} is {found!r}, but web and workers apart meet only in Redis: leave it out."
            " Without Redis, `soldout serve` runs both."
        )
    return found


def _web() -> list[str]:
    return ["--web", shlex.join([*PYTHON, *WEB])]


def _become(arguments: list[str], flags: Mapping[str, str | None]) -> NoReturn:
    given = {f"SOLDOUT_{name.upper()}": value for name, value in flags.items() if value is not None}
    command = [*PYTHON, "workers", *arguments]
    # Replaced, not kept as a parent: signals and exit status are the supervisor's own.
    os.execve(sys.executable, command, os.environ | given)  # noqa: S606 - our own interpreter


@click.command(hidden=True)
def demo() -> None:
    """Put the demo event on sale, if it is not, and say how to buy from it: `serve --demo`."""
    from service.client import UnknownEvent  # noqa: PLC0415 - serve must not wait for it

    # Not SOLDOUT_URL: the demo belongs to the service that was just started here.
    url = derive_url(os.environ)
    with ask_at(url, find_admin_key(os.environ)) as asking:
        try:
            asking.client.event(DEMO_EVENT)
        except UnknownEvent:
            asking.client.put_event(DEMO_EVENT, name="The demo", capacity=DEMO_CAPACITY)
        stock = asking.client.remaining(DEMO_EVENT)
    if stock.status == "sold_out":
        click.echo(
            f"soldout: {url} is open, and nothing of the demo is left. To begin again:"
            f" soldout event put {DEMO_EVENT} --capacity {stock.capacity + DEMO_CAPACITY}"
        )
        return
    body = f'{{"event": "{DEMO_EVENT}", "quantity": 1}}'
    click.echo(
        f"soldout: open {url} and click, or"
        f" curl {url}/buy -H 'Content-Type: application/json' -d '{body}'"
    )
