"""A Redis Cluster of masters without replicas: each has its share of the 16384 slots."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from tests.harness import wait_until
from tests.servers.certificates import Certificates
from tests.servers.process import CLIENT_SECONDS, HOST, START_SECONDS, Startable
from tests.servers.programs import BUS_DISTANCE, Flavour
from tests.servers.redis_server import Account, RedisServer

SLOTS: Final = 16_384
NODES: Final = 3
NODE_TIMEOUT_MS: Final = 1_000  # by default a dead node is noticed after 15 s


class Node(RedisServer):
    """One master of a Cluster. What it knows of the others is not lost with its data (`wipe`)."""

    def config(self) -> list[str]:
        lines = [
            *super().config(),
            "cluster-enabled yes",
            f"cluster-config-file {self.directory / 'nodes.conf'}",
            f"cluster-node-timeout {NODE_TIMEOUT_MS}",
            f"cluster-port {self.port + BUS_DISTANCE}",
        ]
        return lines if self.tls is None else [*lines, "tls-cluster yes"]

    def told(self) -> dict[str, str]:
        """Return what it says of the cluster (CLUSTER INFO)."""
        said: dict[str, str] = self.ask("CLUSTER INFO")
        return said

    def sees_all(self, nodes: int) -> bool:
        """Say whether it finds all slots served, by so many masters."""
        said = self.told()
        whole = said["cluster_state"] == "ok" and said["cluster_slots_ok"] == str(SLOTS)
        return whole and said["cluster_size"] == str(nodes)

    def names(self, port: int) -> bool:
        """Say whether it sends clients to this port."""
        return any(master[1] == port for _, _, master in self.ask("CLUSTER SLOTS"))

    def sees_a_gap(self) -> bool:
        """Say whether it has noticed that slots are not served; then it serves none."""
        return self.told()["cluster_state"] == "fail"


class RedisCluster(Startable):
    """Some masters: `with RedisCluster() as cluster: cluster.client().set("a", 1)`.

    A node is killed, paused or restarted as any server; `wait_ok` then waits for all of them.
    """

    def __init__(
        self,
        flavour: Flavour | None = None,
        *,
        nodes: int = NODES,
        config: Sequence[str] = (),
        account: Account | None = None,
        tls: Certificates | None = None,
    ) -> None:
        self.account = account
        self.tls = tls
        self.nodes = [Node(flavour, config=config, account=account, tls=tls) for _ in range(nodes)]
        self._first_slots = [SLOTS * number // nodes for number in range(nodes)]
        self._clients: list[redis.RedisCluster] = []

    def start(self) -> Self:
        """Start the nodes, share the slots out, have them meet, and wait until all agree."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()
        ends = [*self._first_slots[1:], SLOTS]
        for epoch, (node, first, end) in enumerate(
            zip(self.nodes, self._first_slots, ends, strict=True), 1
        ):
            node.ask("CLUSTER ADDSLOTSRANGE", first, end - 1)
            node.ask("CLUSTER SET-CONFIG-EPOCH", epoch)
            if epoch > 1:
                known = self.nodes[0].port
                node.ask("CLUSTER MEET", HOST, known, known + BUS_DISTANCE)
        return self.wait_ok()

    def wait_ok(self) -> Self:
        """Wait until every node finds every slot served (2 s at least after a node's start)."""
        for node in self.nodes:
            wait_until(partial(node.sees_all, len(self.nodes)), START_SECONDS, node.log)
        return self

    def wait_down(self) -> Self:
        """Wait until every node that runs has noticed that another does not."""
        for node in self.nodes:
            if node.running:
                wait_until(node.sees_a_gap, START_SECONDS, node.log)
        return self

    def announce(self, node: Node, port: int) -> None:
        """Have all clients look for `node` on another port, where a `Cutter` is; or on its own."""
        node.ask("CONFIG SET", "cluster-announce-port", port)
        for each in self.nodes:
            wait_until(partial(each.names, port), START_SECONDS, each.log)

    def mend(self) -> None:
        """Start or let go on what a test left dead or paused; remove all data."""
        for node in self.nodes:
            if node.running:
                node.go_on()
            else:
                node.launch()
        for node in self.nodes:
            node.wait()
        self.wait_ok()
        for node in self.nodes:
            self.announce(node, node.port)
            node.flush()

    def node_of(self, key: str) -> Node:
        """Return the node that serves a key."""
        slot = key_slot(key.encode())
        return self.nodes[bisect_right(self._first_slots, slot) - 1]

    @property
    def url(self) -> str:
        """Where and as whom the service should come."""
        who = "" if self.account is None else self.account.in_url
        query = "" if self.tls is None else f"?{self.tls.query}"
        return f"redis+cluster://{who}{','.join(node.address for node in self.nodes)}{query}"

    def client(self, **options: Any) -> redis.RedisCluster:
        """Return a client that gives strings, closed with the cluster."""
        once = {"retry": Retry(NoBackoff(), 0), "socket_timeout": CLIENT_SECONDS}
        options = {"decode_responses": True, **once, **options}
        client = redis.RedisCluster.from_url(self.nodes[0].url, **options)
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Close the clients it gave away."""
        while self._clients:
            self._clients.pop().close()

    def close(self) -> None:
        """End all nodes, and remove their files."""
        self.close_clients()
        for node in self.nodes:
            node.close()
