"""A connection to Redis, used again after a fault."""

from __future__ import annotations

from tests.contract.redis_places import server_at
from tests.servers.redis_server import RedisServer
from workers.errors import LedgerFault
from workers.shards.keys import Keys
from workers.shards.link import Script


def test_a_script_runs_on_a_redis_that_restarted_whatever_was_asked_of_it_first(
    redis_server: RedisServer,
) -> None:
    """The first question opens a new connection, and behind it is a server that knows no script."""
    server = server_at(redis_server.url)
    link, claim, keys = server.link(1), Script("claim"), [Keys(1).claims]
    assert link.run(claim, keys, 1, b"an order") == []
    redis_server.kill()
    redis_server.start()
    for _ in range(2):  # the first one finds that the connection is broken
        try:
            [found] = link.ask(("HGET", keys[0], b"an order"))
        except LedgerFault:
            continue
    assert found == b"1"
    assert link.run(claim, keys, 1, b"an order") == []
    link.close()
    server.close()
