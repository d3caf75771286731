"""A Redis that comes back empty, older or as another one: nothing is sold from it, and that is said.

Every host remembers the ledger it has seen, in its processes and on its disk.
"""

from __future__ import annotations

import secrets
import shutil
import time
import uuid
from collections.abc import Callable

import pytest

from tests.faults.crowd import Line, Wish, all_orders
from tests.faults_redis.hosts import Host, Site
from tests.harness import note, wait_until
from tests.servers.redis_server import RedisServer

CAPACITY = 20
ANSWER_SECONDS = 3.0
SEEN_SECONDS = 3.0  # until what was seen is on disk


def sell(host: Host, event: str, count: int) -> list[Wish]:
    """Buy one ticket after the other."""
    wishes = [Wish(uuid.uuid4().hex, event, 1) for _ in range(count)]
    with Line(host.port) as line:
        for wish in wishes:
            wish.attempts.append(line.ask(wish.request()))
    assert all(wish.orders for wish in wishes)
    return wishes
