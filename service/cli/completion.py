"""What a shell offers behind a command: the names of the service's events."""

from __future__ import annotations

from contextlib import suppress

import click

from service.cli.asking import find_url

PATIENCE_SECONDS = 1.0  # somebody has pressed Tab and waits


def event_names(ctx: click.Context, _argument: click.Parameter, incomplete: str) -> list[str]:
    """Return the events that begin so; none if the service does not say, for whatever reason."""
    from service.client import Client  # noqa: PLC0415 - serve must not wait for it

    with (
        suppress(Exception),  # a traceback would be written into the line that is being typed
        Client(
            find_url(ctx, ctx.params.get("url")),
            timeout_seconds=PATIENCE_SECONDS,
            patience_seconds=0,
        ) as client,
    ):
        names = (stock.event for stock in client.remaining().events)
        return [name for name in names if name.startswith(incomplete)]
    return []
