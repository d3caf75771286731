"""What tests of hosts start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.hosts import StartHost, hosts_in
from tests.servers.redis_server import RedisServer


@pytest.fixture
def host(tmp_path: Path, redis_server: RedisServer) -> Iterator[StartHost]:
    """Makes hosts that meet in one Redis: `host("web", web_processes=1).start()`."""
    with hosts_in(tmp_path, redis_server.url) as host:
        yield host
