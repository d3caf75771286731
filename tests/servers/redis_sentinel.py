"""A master and a replica, and the Sentinels that watch them and choose who is master."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Self

import redis

from tests.harness import wait_until
from tests.servers.certificates import Certificates
from tests.servers.process import HOST, ServerProcess, Startable
from tests.servers.programs import Flavour
from tests.servers.redis_server import Account, RedisServer

MASTER: Final = "soldout"
DOWN_AFTER_MS: Final = 1_000  # silence of the master; by default 30 s
FAILOVER_TIMEOUT_MS: Final = 3_000  # by default 180 s
FAILOVER_SECONDS: Final = 30


class SentinelProcess(ServerProcess):
    """One Sentinel."""

    def __init__(self, flavour: Flavour | None, master: RedisServer, quorum: int) -> None:
        super().__init__(flavour, [])
        self.master = master
        self.quorum = quorum

    def config(self) -> list[str]:
        lines = [
            f"bind {HOST}",
            f"port {0 if self.master.tls else self.port}",
            f"dir {self.data_dir}",
            f"sentinel monitor {MASTER} {self.master.address.replace(':', ' ')} {self.quorum}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}",
            *self.master.replication_account(
                f"sentinel auth-user {MASTER}", f"sentinel auth-pass {MASTER}"
            ),
        ]
        if self.master.tls is not None:
            lines += [f"tls-port {self.port}", *self.master.tls.config]
        return lines

    def arguments(self) -> list[str]:
        return ["--sentinel"]

    def wait(self) -> Self:
        super().wait()
        # By default it asks servers who they are every 10 s, whether they live every second, and
        # tells other Sentinels every 2 s. Links break in a failover: with so few questions in
        # DOWN_AFTER_MS it would take the new master for dead. It asks a replica without a master
        # every second, and has it be master only if its answer is younger than five pings.
        periods = {"INFO-PERIOD": 200, "PING-PERIOD": 300, "PUBLISH-PERIOD": 200, "ASK-PERIOD": 200}
        for name, ms in periods.items():
            self.ask("SENTINEL DEBUG", name, ms)
        return self

    @property
    def admin_url(self) -> str:
        if self.master.tls is None:
            return f"redis://{self.address}"
        return f"rediss://{self.address}?{self.master.tls.query}"

    def master_port(self) -> int:
        """Return the port of whom it takes for the master."""
        return int(self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", MASTER)[1])

    def names_other(self, server: RedisServer) -> bool:
        """Say whether it takes another server for the master."""
        return self.master_port() != server.port

    def ready(self, sentinels: int) -> bool:
        """Say whether it knows all others, all servers are up, and nothing is about to change."""
        master = self.ask("SENTINEL MASTER", MASTER)
        replicas = self.ask("SENTINEL SLAVES", MASTER)
        return (
            len(replicas) == 1
            and master["num-other-sentinels"] == sentinels - 1
            and master["flags"] == "master"
            and replicas[0]["flags"] == "slave"
            and replicas[0]["master-link-status"] == "ok"
        )


class Sentinel(Startable):
    """A master, a replica, and Sentinels: `with Sentinel() as sentinel: sentinel.failover()`.

    The replica follows by plain replication: what the master alone had is lost with it.
    """

    def __init__(
        self,
        flavour: Flavour | None = None,
        *,
        sentinels: int = 1,
        config: Sequence[str] = (),
        account: Account | None = None,
        tls: Certificates | None = None,
    ) -> None:
        first = RedisServer(flavour, config=config, account=account, tls=tls)
        second = RedisServer(flavour, config=config, account=account, tls=tls, replica_of=first)
        self.servers = [first, second]
        majority = sentinels // 2 + 1
        self.sentinels = [SentinelProcess(flavour, first, majority) for _ in range(sentinels)]

    def start(self) -> Self:
        """Start all, and wait until the Sentinels could choose another master."""
        for server in self.servers:
            server.start()
        self.servers[1].wait_in_sync(self.servers[0])
        for sentinel in self.sentinels:
            sentinel.launch()
        for sentinel in self.sentinels:
            sentinel.wait()
        return self._wait_ready()

    # --- who is master ---

    @property
    def master(self) -> RedisServer:
        """Whom the first Sentinel takes for the master."""
        port = self.sentinels[0].master_port()
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        master = self.master
        return next(server for server in self.servers if server is not master)

    def failover(self) -> RedisServer:
        """Have master and replica change places, wait until all know, and return the new master."""
        old = self.master
        self.sentinels[0].ask("SENTINEL FAILOVER", MASTER)
        new = self.wait_for_master_after(old)
        old.wait_in_sync(new)
        self._wait_ready()
        return new

    def kill_master(self) -> RedisServer:
        """Kill the master, and return it. The Sentinels notice after DOWN_AFTER_MS."""
        old = self.master
        old.kill()
        return old

    def wait_for_master_after(self, old: RedisServer) -> RedisServer:
        """Wait until all Sentinels name another master and it is one; return it."""
        for sentinel in self.sentinels:
            wait_until(partial(sentinel.names_other, old), FAILOVER_SECONDS, sentinel.log)
        new = self.master
        wait_until(new.leads, FAILOVER_SECONDS, new.log)
        return new

    def mend(self) -> None:
        """Start or let go on what a test left dead or paused; remove all data."""
        for process in (*self.servers, *self.sentinels):
            if process.running:
                process.go_on()
            else:
                process.start()
        self._wait_ready()
        master = self.master
        self.replica.wait_in_sync(master)
        master.flush()

    def _wait_ready(self) -> Self:
        for sentinel in self.sentinels:
            ready = partial(sentinel.ready, len(self.sentinels))
            wait_until(ready, FAILOVER_SECONDS, sentinel.log)
        return self

    # --- clients ---

    @property
    def url(self) -> str:
        """Where and as whom the service should come."""
        account, tls = self.servers[0].account, self.servers[0].tls
        who = "" if account is None else account.in_url
        query = "" if tls is None else f"?{tls.query}"
        return (
            f"redis+sentinel://{who}{','.join(s.address for s in self.sentinels)}/{MASTER}/0{query}"
        )

    def client(self, **options: Any) -> redis.Redis:
        """Return a client of whoever is master now, closed with it."""
        return self.master.client(**options)

    def close_clients(self) -> None:
        """Close the clients that were given away."""
        for server in self.servers:
            server.close_clients()

    def close(self) -> None:
        """End all, and remove their files."""
        for process in (*self.sentinels, *self.servers):
            process.close()
