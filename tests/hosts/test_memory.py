"""What a sold order costs in Redis' memory, as the page on many hosts states it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.keys import order_id
from service.uuid7 import mint_key
from tests.contract.redis_places import turn_at
from tests.harness import note
from tests.servers.redis_server import RedisServer
from tests.unit.builders import gala, put
from workers.domain import Item, Purchase
from workers.ledgers.redis import RedisLedger
from workers.rules import settle

ORDERS, BATCH = 20_000, 500
BYTES_MAX = {"nobody": 400, "buyers": 500}


@pytest.mark.long
@pytest.mark.parametrize("who", BYTES_MAX)
def test_a_sold_order_takes_no_more_memory_than_stated(
    redis_server: RedisServer, tmp_path: Path, who: str
) -> None:
    turn = turn_at(redis_server.url, 1)
    ledger = RedisLedger(turn)

    def write(*commands: object) -> None:
        assert turn.take(0, anyway=True)
        batch = list(commands)
        ledger.commit(settle(ledger.load(batch), batch, turn.now()), turn.token or 0)  # type: ignore[arg-type]
        turn.release()

    write(put(gala(ORDERS), deadline_ms=1 << 60))
    before = dataset_of(redis_server)
    for first in range(0, ORDERS, BATCH):
        write(*(wish(n, who) for n in range(first, first + BATCH)))
    bytes_each = (dataset_of(redis_server) - before) / ORDERS
    turn.close()
    note(f"{bytes_each:.0f} bytes an order of {who}")
    assert redis_server.ask("LLEN", "soldout:{s01}:tickets:gala") == ORDERS
    assert bytes_each < BYTES_MAX[who]


def wish(number: int, who: str) -> Purchase:
    buyer = f"somebody-{number}@example.com" if who == "buyers" else None
    return Purchase(
        1 << 60, order_id(b"secret", mint_key()), os.urandom(16), "gala", [Item(None, 1)], buyer
    )


def dataset_of(redis: RedisServer) -> int:
    return int(redis.ask("INFO", "memory")["used_memory_dataset"])
