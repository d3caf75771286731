"""Whatever the Redis is: TLS, accounts, a socket, replicas to wait for, Sentinel, a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.handoff_contract import HandoffContract
from tests.contract.ledger_contract import LedgerContract
from tests.contract.redis_places import RedisMeeting, RedisPlace, wait_as_greenlets_do
from tests.harness import wait_until
from tests.hosts.hosts import Host, hosts_in
from tests.servers.certificates import make_certificates
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import Sentinel
from tests.servers.redis_server import Account, RedisServer
from workers.shards.keys import Keys, shard_of_event

PATIENCE_SECONDS = 20.0
SHARDS = 6
RIGHTS = (
    "~soldout:* ~{soldout:* +@connection +info +config|get +time +script|load +evalsha +wait"
    " +get +set +del +exists +pttl +pexpire +hget +hmget +hset +hsetnx +hdel +hexists +hgetall"
    " +hvals +hincrby +llen +lpush +rpush +lrange +blpop +xadd +xread +xrange +xlen +xtrim"
)


def check_sells(host: Host, event: str = "gala") -> None:
    host.put_event(event, capacity=10)
    answer = host.buy(event, 2, buyer="ann")
    assert answer.status_code == 201, answer.text
    cancelled = host.admin("POST", f"/orders/{answer.json()['id']}/cancel")
    assert cancelled.status_code == 200
    assert host.audit(event)["remaining"] == 10


# --- one server -----------------------------------------------------------------------------------


def test_an_account_needs_just_the_rights_that_the_page_on_many_hosts_lists(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "many-hosts.md").read_text()
    assert all(right in page for right in RIGHTS.split())
    with (
        RedisServer(account=Account("soldout", "s3cret@:/", RIGHTS)) as redis,
        hosts_in(tmp_path, redis.url) as host,
    ):
        service = host("serve").start()
        check_sells(service)
        assert "s3cret" not in service.log()


def test_a_right_that_is_missing_changes_nothing(tmp_path: Path) -> None:
    """A script is stopped at the command that its user may not run: in its middle, if at all."""
    rights = RIGHTS.replace(" +xtrim", "")
    with (
        RedisServer(account=Account("soldout", "secret", rights)) as redis,
        hosts_in(tmp_path, redis.url, wait_seconds=0.5) as host,
    ):
        service = host("serve").launch().says("may not run XTRIM")
        assert not redis.ask("EXISTS", Keys(1).events)
        assert service.admin("GET", "/readyz").status_code == 503


def test_a_wrong_password_is_one_line_without_the_password(tmp_path: Path) -> None:
    with RedisServer(account=Account("soldout", "right", RIGHTS)) as redis:
        url = redis.url.replace("right", "wrong-one")
        with hosts_in(tmp_path, url) as host:
            service = host("workers").launch().says("does not let us in")
            assert "wrong-one" not in service.log()


def test_the_password_may_stand_in_a_file_and_the_server_behind_a_socket(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    with RedisServer(account=Account("soldout", "s3cret", RIGHTS)) as redis:
        url = redis.socket_url.replace(":s3cret@", "@")
        with hosts_in(tmp_path, url) as host:
            check_sells(host("serve", redis_password_file=secret).start())


@pytest.mark.long  # only Debian's server has TLS
def test_it_sells_over_tls_and_to_nobody_whose_certificate_is_not_signed(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    certificates = make_certificates(tmp_path / "tls")
    with (
        RedisServer("redis", tls=certificates) as redis,
        hosts_in(tmp_path, redis.url) as host,
    ):
        check_sells(host("serve").start())
        host("workers", redis.url.partition("?")[0]).launch().says("certificate verify failed")


# --- what a server promises -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "appendonly no",
        "appendfsync everysec",
        "maxmemory-policy allkeys-lru",
        "no-appendfsync-on-rewrite yes",
    ],
)
def test_a_server_that_may_lose_a_sale_is_refused_unless_that_is_accepted(
    tmp_path: Path, line: str
) -> None:
    with RedisServer(config=[line]) as redis, hosts_in(tmp_path, redis.url) as host:
        said = host("serve").launch().refuses()
        assert line.split(maxsplit=1)[0] in said
        assert "Traceback" not in said
        relaxed = host("serve", redis_durability="relaxed").start()
        assert "may lose sales" in relaxed.log()
        check_sells(relaxed)


def test_a_server_that_was_weakened_while_it_was_away_is_not_sold_from(tmp_path: Path) -> None:
    with RedisServer() as redis, hosts_in(tmp_path, redis.url) as host:
        service = host("serve").start()
        check_sells(service)
        redis.kill()
        redis.more_config.append("appendfsync everysec")
        redis.config_path.write_text(
            redis.config_path.read_text().replace("appendfsync always", "appendfsync everysec")
        )
        redis.start()
        service.says("appendfsync is everysec")
        assert service.buy("gala").status_code in (202, 503)


# --- replicas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["redis", "valkey"])
def test_a_sale_is_confirmed_only_when_a_replica_has_it(tmp_path: Path, flavour: str) -> None:
    with (
        RedisServer(flavour) as master,  # type: ignore[arg-type]
        RedisServer(flavour, replica_of=master) as replica,  # type: ignore[arg-type]
        hosts_in(tmp_path, master.url) as host,
    ):
        replica.wait_in_sync(master)
        service = host("serve", redis_replicas=1, wait_seconds=1).start()
        check_sells(service)
        replica.pause()
        answer = service.buy("gala", key="bought-without-replica")
        assert answer.status_code in (202, 503), answer.text
        replica.go_on()
        wait_until(
            lambda: service.buy("gala", key="bought-without-replica").status_code == 201,
            PATIENCE_SECONDS,
            service.log,
        )
        assert service.audit("gala")["sold"] == 1
        assert replica.ask("HGET", Keys(1).meta, "committed")


# --- Sentinel, cluster ----------------------------------------------------------------------------


@pytest.mark.long
def test_after_a_failover_it_sells_on_with_all_that_was_sold(tmp_path: Path) -> None:
    with Sentinel() as redis, hosts_in(tmp_path, redis.url) as host:
        service = host("serve", redis_replicas=1).start()
        check_sells(service)
        order = service.buy("gala", key="bought-before-the-failover").json()
        redis.failover()
        wait_until(service.ready, PATIENCE_SECONDS, service.log)
        again = service.buy("gala", key="bought-before-the-failover")
        assert (again.status_code, again.json()) == (201, order)
        assert service.audit("gala")["sold"] == 1


class TestLedgerInACluster(LedgerContract):
    @pytest.fixture
    def place(self, redis_cluster: RedisCluster) -> RedisPlace:
        return RedisPlace(redis_cluster.url)


class TestHandoffInACluster(HandoffContract):
    @pytest.fixture
    def meeting(self, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> RedisMeeting:
        wait_as_greenlets_do(monkeypatch)
        return RedisMeeting(redis_cluster.url, ttl_ms=500)


@pytest.mark.long
def test_a_cluster_sells_from_all_its_masters_and_goes_on_when_one_comes_back(
    tmp_path: Path, redis_cluster: RedisCluster
) -> None:
    with hosts_in(tmp_path, redis_cluster.url, shards=SHARDS, workers=SHARDS) as host:
        service = host("serve").start()
        events = {shard_of_event(f"event-{n}", SHARDS): f"event-{n}" for n in range(100)}
        assert len(events) == SHARDS
        for event in events.values():
            check_sells(service, event)
            assert service.buy(event).status_code == 201
        masters = {redis_cluster.node_of(Keys(shard).meta).port for shard in events}
        assert len(masters) == 3
        victim = redis_cluster.node_of(Keys(1).meta)
        victim.kill()
        assert service.buy(events[1]).status_code in (202, 503)
        victim.start()
        redis_cluster.wait_ok()
        wait_until(
            lambda: all(service.buy(event).status_code == 201 for event in events.values()),
            PATIENCE_SECONDS,
            service.log,
        )
        for event in events.values():
            service.audit(event)
