"""What is looked at before anything is sold: a server that is slow to say it is no weak one."""

from __future__ import annotations

import pytest

from tests.contract.redis_places import server_at
from tests.servers.redis_server import RedisServer
from workers.errors import LedgerFault
from workers.shards.promises import weaknesses


def test_a_redis_that_does_not_answer_in_time_is_asked_again_and_not_called_weak(
    redis_server: RedisServer,
) -> None:
    """Or a service that starts while Redis is slow would refuse to start, for good."""
    server = server_at(redis_server.url)
    link = server.link(1)
    assert weaknesses(link) == []
    redis_server.pause_clients(2_500)
    with pytest.raises(LedgerFault, match="cannot be reached"):
        weaknesses(link)
    link.close()
    server.close()
