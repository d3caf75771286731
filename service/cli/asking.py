"""How a command asks a service: its options, its client, and where what it was told goes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import click

from service.cli.environment import Misuse, derive_url, find_admin_key
from service.cli.options import Seconds
from service.cli.words import as_members, sentence

if TYPE_CHECKING:
    from service.client import Client

PATIENCE_SECONDS = 5.0  # a service that restarts is back by then; one that is not there is named


class Asking(NamedTuple):
    """What a command asks with, and shows what it was told."""

    client: Client
    as_json: bool

    def show(self, told: object, lines: Iterable[str]) -> None:
        """Print a result as JSON for machines, or its `lines` for people."""
        if self.as_json:
            print_json(told)
        else:
            click.echo("\n".join(lines))


def asks(
    patience_seconds: float = PATIENCE_SECONDS, *, admin: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of asking a service, and an `Asking` as its first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--url", help="The service. [SOLDOUT_URL, SOLDOUT_BIND]")
        @click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
        @click.option(
            "--patience",
            metavar="SECONDS",
            type=Seconds(),
            default=patience_seconds,
            show_default=True,
            help="How long to try again while no answer comes.",
        )
        @functools.wraps(command)
        def run(url: str | None, as_json: bool, patience: float, **arguments: object) -> None:
            admin_key = find_admin_key(os.environ) if admin else None
            found = find_url(click.get_current_context(), url)
            with ask_at(found, admin_key, patience, as_json) as asking:
                command(asking, **arguments)

        return run

    return decorate


def find_url(ctx: click.Context, url: str | None) -> str:
    """Return the service to ask: what the command's `--url` names, or what is found around it."""
    before_command: str | None = ctx.find_root().params.get("url")  # it is the group's there
    return url or before_command or os.environ.get("SOLDOUT_URL") or derive_url(os.environ)


@contextmanager
def ask_at(
    url: str,
    admin_key: str | None,
    patience_seconds: float = PATIENCE_SECONDS,
    as_json: bool = False,
) -> Iterator[Asking]:
    """Open a client; turn what goes wrong into one line and an exit status."""
    from service.client import Client, ClientError  # noqa: PLC0415 - serve must not wait for it

    try:
        client = Client(url, admin_key, patience_seconds=patience_seconds)
    except ValueError as error:
        raise Misuse(f"{error}; correct --url or SOLDOUT_URL") from None
    with client:
        try:
            yield Asking(client, as_json)
        except ClientError as error:
            if as_json:
                print_json(as_members(error))
            raise click.ClickException(sentence(error)) from None


def print_json(told: object) -> None:
    """Print JSON for machines, with times as the service writes them."""
    import msgspec  # noqa: PLC0415 - serve must not wait for it

    plain = msgspec.to_builtins(told, builtin_types=(datetime,))
    click.echo(msgspec.json.encode(_with_times(plain)))


def _with_times(plain: object) -> object:
    """Write each time in RFC 3339, in UTC, with milliseconds."""
    match plain:
        case datetime():
            at = plain.astimezone(UTC).isoformat(timespec="milliseconds")
            return at.replace("+00:00", "Z")
        case dict():
            return {name: _with_times(member) for name, member in plain.items()}
        case list() | tuple():
            return [_with_times(member) for member in plain]
    return plain
