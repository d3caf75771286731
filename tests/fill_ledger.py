"""Fills an embedded ledger with orders through the ledger's own code, far faster than HTTP would.

`loadtest/growth.py` starts it as a program of its own, before the service that will sell from the
ledger: the load test itself knows nothing of the workers, and knows this file by its command line.

    python -m tests.fill_ledger --data-dir data --orders 2000000 --events 1 --keys ordered

Orders are what one purchase after another would have left behind: one ticket, a buyer, and an id as
the service makes it, from keys that sort by time or from random ones.
"""

from __future__ import annotations

import argparse
import gc
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from service.keys import order_id
from service.uuid7 import mint_key
from workers.domain import Command, Item, Now, Purchase, PutEvent, TicketType, fingerprint
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.rules import settle

BATCH: Final = 32_768
CAPACITY: Final = 50_000_000
EVENT: Final = "bench"
BUYER: Final = "ann@example.com"
KEYS: Final[dict[str, Callable[[], str]]] = {
    "ordered": mint_key,
    "random": lambda: str(uuid.uuid4()),
}
NEVER_MS: Final = 1 << 60


def fill(path: Path, orders: int, events: int, key: Callable[[], str]) -> None:
    """Put `events` on sale, `bench` or `bench-0` and so on, and sell `orders` in turn."""
    names = [EVENT] if events == 1 else [f"{EVENT}-{number}" for number in range(events)]
    ledger = SqliteLedger(path)
    puts: list[Command] = [
        PutEvent(NEVER_MS, name, name, [TicketType("general", CAPACITY)]) for name in names
    ]
    token = _run(ledger, puts, ledger.last_token() + 1)
    reader = SqliteReader(path)
    secret = reader.secret
    reader.close()
    for batch in _purchases(names, orders, secret, key):
        token = _run(ledger, batch, token)
    ledger.close()


def _run(ledger: SqliteLedger, commands: list[Command], token: int) -> int:
    now = Now(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)
    ledger.commit(settle(ledger.load(commands), commands, now), token)
    return token + 1


def _purchases(
    names: list[str], orders: int, secret: bytes, key: Callable[[], str]
) -> Iterator[list[Command]]:
    items = [Item(None, 1)]
    prints = {name: fingerprint(name, items, BUYER) for name in names}
    for start in range(0, orders, BATCH):
        size = min(BATCH, orders - start)
        # Sorted, so that a batch of random ids goes through the index once and not to and fro.
        ids = sorted(order_id(secret, key()) for _ in range(size))
        batch: list[Command] = []
        for number, new_id in enumerate(ids, start):
            name = names[number % len(names)]
            batch.append(Purchase(NEVER_MS, new_id, prints[name], name, items, BUYER))
        yield batch


def main() -> None:
    """Read the command line and fill."""
    parser = argparse.ArgumentParser(prog="python -m tests.fill_ledger", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--events", type=int, default=1)
    parser.add_argument("--keys", choices=KEYS, default="ordered")
    options = parser.parse_args()
    options.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    gc.disable()
    fill(options.data_dir / "ledger.db", options.orders, options.events, KEYS[options.keys])


if __name__ == "__main__":
    main()
