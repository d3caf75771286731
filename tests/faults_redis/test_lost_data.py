"""A Redis that comes back empty, older or as another: nothing is sold from it, and that is said.

Every host remembers the ledger it has seen, in its processes and on its disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.faults.stopping import standing_still
from tests.faults_redis.hosts import Host, Site
from tests.harness import wait_until
from tests.servers.redis_server import RedisServer

PATIENCE_SECONDS = 15.0
CAPACITY = 20


def come_back_with(redis: RedisServer, data: Path) -> None:
    """Have Redis come back with the data of this directory."""
    redis.kill()
    shutil.rmtree(redis.data_dir)
    shutil.copytree(data, redis.data_dir)
    redis.start()


def copy_of(redis: RedisServer, name: str) -> Path:
    """Copy what is on Redis' disk, as a backup does."""
    return Path(shutil.copytree(redis.data_dir, redis.directory / name))


def empty(redis: RedisServer, _older: Path) -> None:
    redis.wipe()


def older(redis: RedisServer, older: Path) -> None:
    come_back_with(redis, older)


def another(redis: RedisServer, _older: Path) -> None:
    """Another ledger, made by somebody who knows nothing of this one."""
    redis.wipe()
    with RedisServer() as elsewhere:
        elsewhere.close()
    redis.ask("SET", "soldout:ledger", OTHER_LEDGER)
    redis.ask("HSET", "soldout:{s01}:meta", "ledger", "another")


OTHER_LEDGER = '{"id":"another","secret":"00","shards":1,"created_at_ms":0,"schema":1,"ready":true}'
WORDS: dict[Callable[..., None], str] = {
    empty: "came back empty",
    older: "came back older",
    another: "holds another ledger",
}


def find_it_lost(host: Host, told: str) -> None:
    """Wait until a host has found what became of Redis, asking it as a balancer would."""
    wait_until(lambda: not host.ready() and told in host.log(), PATIENCE_SECONDS, host.log)


def check_nothing_is_sold(host: Host, event: str) -> None:
    answer = host.buy(event)
    assert answer.status_code == 503, answer.text
    assert answer.headers["Retry-After"].isdecimal()
    assert answer.headers["Idempotency-Key"]
    assert host.admin("PUT", f"/events/{event}", {"capacity": CAPACITY}).status_code == 503


@pytest.mark.parametrize("lose", [empty, older, another])
def test_what_was_sold_is_not_sold_again_by_whoever_saw_it_or_starts_later(
    site: Site, lose: Callable[[RedisServer, Path], None]
) -> None:
    host, redis = site.host("serve", workers=1, web_processes=1).start(), site.redis
    host.put_event("gala", capacity=CAPACITY)
    assert host.buy("gala", 2).status_code == 201
    backup = copy_of(redis, "older")
    order = host.buy("gala", 3).json()
    newest = copy_of(redis, "newest")

    lose(redis, backup)
    find_it_lost(host, WORDS[lose])
    check_nothing_is_sold(host, "gala")
    wait_until(lambda: WORDS[lose] in host.why_not(), PATIENCE_SECONDS, host.why_not)
    assert host.terminate() == 0

    later, count = host, len(host.log())
    later.launch().said(WORDS[lose], count)
    come_back_with(redis, newest)
    wait_until(later.ready, PATIENCE_SECONDS, later.log)
    assert later.admin("GET", f"/orders/{order['id']}").json() == order
    numbers = [ticket["number"] for ticket in later.buy("gala").json()["tickets"]]
    assert numbers == [6]
    assert later.audit("gala")["sold"] == 6


def test_a_redis_may_be_exchanged_before_the_first_event(site: Site) -> None:
    """What workers wrote to show that they can is no ledger: nothing of it can be lost."""
    host, redis = site.host("serve").start(), site.redis
    redis.wipe()
    wait_until(host.ready, PATIENCE_SECONDS, host.log)
    host.put_event("gala", capacity=CAPACITY)
    assert host.buy("gala", 2).status_code == 201
    assert host.audit("gala")["sold"] == 2
    assert not redis.ask("HEXISTS", "soldout:{s01}:meta", "older")


def test_one_host_that_saw_more_stops_all_others(site: Site) -> None:
    """What a host has not seen itself, it is told by the one that has."""
    saw, redis = site.host("serve", workers=1, web_processes=1).start(), site.redis
    saw.put_event("gala", capacity=CAPACITY)
    backup = copy_of(redis, "older")
    assert saw.buy("gala", 3).status_code == 201
    come_back_with(redis, backup)
    find_it_lost(saw, WORDS[older])
    new = site.host("serve", workers=1, web_processes=1)
    new.launch().said("came back older")
    wait_until(lambda: not new.ready(), PATIENCE_SECONDS, new.log)
    assert redis.ask("LLEN", "soldout:{s01}:tickets:gala") == 0


@contextmanager
def restored(redis: RedisServer) -> Iterator[Callable[[], None]]:
    """Give a way to have Redis come back with what it has now."""
    backup = copy_of(redis, "older")
    yield lambda: come_back_with(redis, backup)


@contextmanager
def overtaken(redis: RedisServer) -> Iterator[Callable[[], None]]:
    """Give a way to have a replica take over that lags behind, and then the old master again.

    That one is not restarted for it, and nobody has written to the replica.
    """
    with RedisServer() as replica:
        follow(replica, redis)
        replica.ask("REPLICAOF", "NO", "ONE")

        def there_and_back() -> None:
            follow(redis, replica)
            redis.ask("REPLICAOF", "NO", "ONE")

        yield there_and_back


def follow(replica: RedisServer, master: RedisServer) -> None:
    replica.ask("REPLICAOF", "127.0.0.1", master.port)
    up = lambda: replica.ask("INFO", "replication")["master_link_status"] == "up"  # noqa: E731
    wait_until(up, PATIENCE_SECONDS, "replicated")


@pytest.mark.parametrize("losing", [restored, overtaken])
def test_what_is_sold_from_an_older_redis_hides_nothing_from_who_saw_more(
    site: Site, losing: Callable[[RedisServer], AbstractContextManager[Callable[[], None]]]
) -> None:
    """It sleeps meanwhile, and nobody asks it for anything when it is awake."""
    saw = site.host("serve", workers=1, web_processes=1).start()
    saw.put_event("gala", capacity=CAPACITY)
    with losing(site.redis) as lose:
        assert saw.buy("gala", 3).status_code == 201
        with standing_still(saw.pid, *(pid for pids in saw.family().values() for pid in pids)):
            lose()
            new = site.host("serve", workers=1).start()
            for _ in range(3):  # more batches than are missing
                assert new.buy("gala").status_code == 201
    wait_until(lambda: not new.ready(), PATIENCE_SECONDS, new.log)
    new.said("came back older")
    check_nothing_is_sold(new, "gala")


def test_what_came_back_older_can_be_accepted_knowingly(site: Site) -> None:
    host, redis = site.host("serve", workers=1, web_processes=1).start(), site.redis
    host.put_event("gala", capacity=CAPACITY)
    backup = copy_of(redis, "older")
    assert host.buy("gala", 3).status_code == 201
    come_back_with(redis, backup)
    find_it_lost(host, WORDS[older])
    assert host.terminate() == 0
    shutil.rmtree(host.data_dir / "seen")
    redis.ask("HDEL", "soldout:{s01}:meta", "older")
    host.start()
    assert host.buy("gala").status_code == 201
    assert host.audit("gala")["sold"] == 1
