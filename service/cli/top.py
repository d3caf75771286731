"""`soldout top`: the box office in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from service.cli.asking import Asking, asks
from service.cli.options import Seconds
from service.cli.rates import SOLD, Between, between
from service.cli.screen import Screen
from service.cli.words import count_of, stretch, table

if TYPE_CHECKING:
    from service.client import Client, EventNow, Now, Worker

BAR = 24
QUIET_SECONDS = 2  # a worker without a heartbeat for so long is killed
EVENTS_MAX = 20  # the workers shall find room below them
NOTHING = "-"  # nobody bought meanwhile, there is nothing yet to compare with, no process


@click.command()
@click.option(
    "--interval",
    metavar="SECONDS",
    type=Seconds(0.1, 60),
    default=1.0,
    show_default=True,
    help="Between two looks, 0.1 to 60.",
)
@click.option("--once", is_flag=True, help="Look for one interval, print it and leave.")
@asks(0.0, admin=True)
def top(asking: Asking, interval: float, once: bool) -> None:
    """Show the sale in a terminal: stock, rates, times, workers.

    On a terminal it stays in its place, also while the service is away, until Ctrl-C. Elsewhere
    each look is printed below the last; with --json as the service says it, a line each. Counters
    are those of the host that answers, stock and workers those of all.

    \b
    Examples:
      soldout top
      soldout top --once
      soldout top --json --interval 10
    """
    if once and asking.as_json:
        asking.show(asking.client.now(), [])
    elif once:
        office = Office(asking.client)
        office.ask()
        time.sleep(interval)
        asking.show(office.ask(), office.shown)
    else:
        with suppress(KeyboardInterrupt):
            _look_on(asking, interval)


def _look_on(asking: Asking, interval: float) -> None:
    screen = Screen() if sys.stdout.isatty() and not asking.as_json else None
    office = Office(asking.client)
    while True:
        began = time.monotonic()
        was_away, now = bool(office.away), office.look()
        if screen:
            screen.show([*office.away, *office.shown])
        elif now:
            asking.show(now, [*office.shown, ""])
        elif not was_away:
            click.echo(office.away[0], err=True)
        time.sleep(max(0.0, began + interval - time.monotonic()))


class Office:
    """What was heard of a service so far: `shown` of its last answer, `away` while none comes."""

    def __init__(self, client: Client) -> None:
        self.shown: list[str] = []
        self.away: list[str] = []
        self._client = client
        self._by_host: dict[str, Now] = {}  # behind one address there may be several
        self._heard = time.monotonic()
        self._why_not: str | None = None  # nothing can be sold; not asked yet

    def look(self) -> Now | None:
        """Ask once; return what was answered, if anything was."""
        from service.client import Unavailable  # noqa: PLC0415 - serve must not wait for it

        try:
            return self.ask()
        except Unavailable as fault:
            seconds = time.monotonic() - self._heard
            self.away = [f"AWAY for {stretch(seconds)}: {fault}; trying again", ""]
            return None

    def ask(self) -> Now:
        """Ask once. Raises what the client raises."""
        now = self._client.now()
        self._heard, self.away = time.monotonic(), []
        earlier = self._by_host.get(now.this_host.name)
        self._by_host[now.this_host.name] = now
        compared = between(earlier, now)
        # `/readyz` writes to the ledger: asked once, and then only when something points that way.
        if self._why_not is None or self._why_not or looks_ill(now, compared):
            self._why_not = self._ask_why_not()
        self.shown = list(lines(self._client.base_url, now, compared, self._why_not))
        return now

    def _ask_why_not(self) -> str:
        """Return why nothing can be sold now; nothing if it can."""
        from service.client import Unavailable  # noqa: PLC0415 - as above

        try:
            self._client.check_ready()
        except Unavailable as fault:
            return str(fault)
        return ""


def looks_ill(now: Now, compared: Between | None) -> bool:
    """Say whether it may be that nothing can be sold."""
    heard = any((now.as_of - w.last_heartbeat).total_seconds() < QUIET_SECONDS for w in now.workers)
    lame = any(shard.older or not shard.workers for shard in now.shards)
    failed = compared is not None and compared.ledger_failed()
    return not heard or now.ledger == "unreadable" or bool(now.troubles) or lame or failed


def lines(url: str, now: Now, compared: Between | None, why_not: str) -> Iterator[str]:
    """Tell how a service stands."""
    host = now.this_host
    up = stretch((now.as_of - host.started_at).total_seconds())
    at = now.as_of.astimezone(UTC).strftime("%H:%M:%SZ")
    yield f"{url} on {host.name}, up {up}; {at}"
    if why_not:
        yield f"NOT SELLING: {why_not}"
    yield from (f"TROUBLE: {trouble}" for trouble in now.troubles if trouble not in why_not)
    yield ""
    yield from table(_figures(now, compared))
    yield ""
    if now.ledger == "unreadable":
        yield "the ledger cannot be read"
    else:
        yield from table(_event_rows(now.events)) if now.events else ["no events yet"]
    if len(now.events) > EVENTS_MAX:
        more = count_of(len(now.events) - EVENTS_MAX, "more event")
        yield f"… {more}: `soldout remaining` shows all"
    yield ""
    if now.workers:
        yield from table(_worker_rows(now, compared))
    elif now.ledger != "unreadable":  # on Redis, workers are known from there
        yield "NO WORKERS"
    for shard in now.shards:
        older = ", OLDER than it was: nothing is sold from it" if shard.older else ""
        waiting = count_of(shard.frames_waiting, "frame")
        yield f"shard {shard.shard}: {count_of(shard.workers, 'worker')}, {waiting} waiting{older}"


def _figures(now: Now, compared: Between | None) -> Iterator[Sequence[str]]:
    def rate(per_second: float | None) -> str:
        return NOTHING if per_second is None else f"{per_second:,.0f}/s"

    def ms(name: str, share: float) -> str:
        seconds = compared.quantile(name, share) if compared else None
        return NOTHING if seconds is None else f"{seconds * 1000:.1f} ms"

    host = now.this_host
    batch = compared.mean("batch_size") if compared else None
    yield (
        *("sold", rate(compared and compared.per_second(SOLD))),
        *("refused", rate(compared and compared.refused_per_second())),
        *("in flight", f"{host.in_flight:,}"),
        *("looking on", f"{host.streams:,}"),
    )
    yield (
        *("p50", ms("purchase_seconds", 0.5)),
        *("p99", ms("purchase_seconds", 0.99)),
        *("lock wait p99", ms("lock_wait_seconds", 0.99)),
        *("batch", NOTHING if batch is None else f"{batch:.1f}"),
    )


def _event_rows(events: Sequence[EventNow]) -> Iterator[Sequence[str]]:
    yield ("EVENT", "STATUS", "SOLD", "HELD", "REMAINING", "")
    newest_first = events[::-1]
    newest_first = sorted(newest_first, key=lambda e: e.status == "closed")
    for e in newest_first[:EVENTS_MAX]:
        counts = (f"{number:,}" for number in (e.sold, e.held, e.remaining))
        yield (e.event, e.status, *counts, bar(e.sold, e.held, e.capacity))


def bar(sold: int, held: int, capacity: int) -> str:
    """Draw how much is sold `#` and held `+`; full only when nothing remains."""
    if not capacity:
        return f"[{'.' * BAR}]"
    taken = (sold + held) * BAR // capacity
    full = min(sold * BAR // capacity, taken)
    return f"[{'#' * full}{'+' * (taken - full)}{'.' * (BAR - taken)}] {sold / capacity:4.0%}"


def _worker_rows(now: Now, compared: Between | None) -> Iterator[Sequence[str]]:
    yield ("WORKER", "HOST", "PID", "STATE", "HEARD OF", "SETTLES", "UP")
    for w in now.workers:
        yield (
            str(w.worker),
            w.host,
            NOTHING if w.pid is None else str(w.pid),
            w.phase,
            _ago(w, now.as_of),
            f"{compared.worker_per_second(w):,.0f}/s" if compared else NOTHING,
            stretch((now.as_of - w.since).total_seconds()),
        )


def _ago(worker: Worker, as_of: datetime) -> str:
    return f"{max(0.0, (as_of - worker.last_heartbeat).total_seconds()):.1f} s ago"
