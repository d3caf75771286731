"""`soldout serve`, which becomes the service, and the demo event that it can put on sale."""

from __future__ import annotations

import os
import shlex
import sys
from typing import NoReturn

import click

from service.cli.asking import ask_at
from service.cli.environment import derive_url, find_admin_key

DEMO_EVENT, DEMO_CAPACITY = "demo", 100
# -P: the folder one happens to stand in may hold a `service` or `workers` of its own.
PYTHON = (sys.executable, "-P", "-m")
WEB = ("gunicorn", "--config", "python:service.gunicorn_conf", "service.app:create_app()")


@click.command()
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
    body = f'{{"event": "{DEMO_EVENT}", "quantity": 1}}'
    click.echo(
        f"soldout: buy a ticket with curl {url}/buy -H 'Content-Type: application/json'"
        f" -d '{body}' and look at {url}/remaining"
    )
