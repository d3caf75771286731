"""A Redis or Valkey server as operators run it for this service: what it answered is on disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import redis

from tests.harness import wait_until
from tests.servers.certificates import Certificates
from tests.servers.process import HOST, START_SECONDS, ServerProcess, connect
from tests.servers.programs import Flavour

DURABLE: Final = ("appendonly yes", "appendfsync always", 'save ""')
ADMIN_PASSWORD: Final = "tests-may-do-everything"
EVERYTHING: Final = "~* &* +@all"


@dataclass(frozen=True)
class Account:
    """A user of the server and what it may do (in the language of ACL SETUSER)."""

    user: str
    password: str
    rights: str = EVERYTHING

    @property
    def config(self) -> str:
        """The line that makes it."""
        return f"user {self.user} on {_quoted('>' + self.password)} {self.rights}"

    @property
    def in_url(self) -> str:
        """How a URL names it, with the @ behind."""
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"


class RedisServer(ServerProcess):
    """One server: `with RedisServer() as server: server.client().set("a", 1)`.

    It listens on a TCP port, with TLS if it has `tls`, and on a Unix socket. With an `account` that
    is not named "default" nobody gets in without. `config` are further lines, which win.
    """

    def __init__(
        self,
        flavour: Flavour | None = None,
        *,
        config: Sequence[str] = (),
        account: Account | None = None,
        tls: Certificates | None = None,
        replica_of: RedisServer | None = None,
    ) -> None:
        super().__init__(flavour, list(config))
        self.account = account
        self.tls = tls
        self.replica_of = replica_of
        self._admin = None if account is None else Account("tests", ADMIN_PASSWORD)

    def config(self) -> list[str]:
        lines = [
            f"bind {HOST}",
            f"port {0 if self.tls else self.port}",
            f"unixsocket {self.directory / 'socket'}",
            f"dir {self.data_dir}",
            *DURABLE,
            "repl-diskless-sync-delay 0",  # it would wait 5 s for more replicas to come
            "repl-ping-replica-period 1",
        ]
        if self.tls is not None:
            lines += [f"tls-port {self.port}", *self.tls.config]
        if self.account is not None and self._admin is not None:
            lines += [
                "user default off",
                self.account.config,
                self._admin.config,
                *self.replication_account("masteruser", "masterauth"),
            ]
        if self.replica_of is not None:
            lines.append(f"replicaof {HOST} {self.replica_of.port}")
        return lines

    def replication_account(self, user: str, password: str) -> list[str]:
        """Return the lines, beginning so, with which replicas and Sentinels come in."""
        if self._admin is None:
            return []
        return [f"{user} {self._admin.user}", f"{password} {self._admin.password}"]

    @property
    def url(self) -> str:
        """Where and as whom the service should come."""
        return self._url(self.account)

    @property
    def admin_url(self) -> str:
        return self._url(self._admin)

    @property
    def socket_url(self) -> str:
        """The same server on its Unix socket."""
        who = "" if self.account is None else self.account.in_url
        return f"unix://{who}{self.directory / 'socket'}?db=0"

    def _url(self, account: Account | None) -> str:
        who = "" if account is None else account.in_url
        if self.tls is None:
            return f"redis://{who}{self.address}/0"
        return f"rediss://{who}{self.address}/0?{self.tls.query}"

    def client(self, **options: Any) -> redis.Redis:
        """Return a client of `url`, closed with the server."""
        return self._kept(connect(self.url, **options))

    def written(self) -> bytes:
        """Return all that is in its append-only files."""
        files = sorted(self.data_dir.glob("appendonlydir/*.aof"))
        return b"".join(file.read_bytes() for file in files)

    # --- what is done to it ---

    def pause_clients(self, ms: int) -> None:
        """Have it answer nobody for a time (CLIENT PAUSE); nothing ends that earlier."""
        self.ask("CLIENT PAUSE", ms)

    def wipe(self) -> None:
        """Have it come back on the same port with nothing: its disk is lost."""
        if self.running:
            self.kill()
        shutil.rmtree(self.data_dir)
        self.start()

    def flush(self) -> None:
        """Remove all data and scripts; the server stays."""
        self.ask("FLUSHALL")
        self.ask("SCRIPT FLUSH")

    def mend(self) -> None:
        """Start it, or let it go on, if a test left it dead or paused; remove all data."""
        if not self.running:
            self.start()
        self.go_on()
        self.flush()

    # --- replication ---

    def role(self) -> str:
        """Return `master` or `slave`, as it says itself."""
        return str(self.ask("INFO", "replication")["role"])

    def offset(self) -> int:
        """Return how far the stream of changes is that it sends, or has received as a replica."""
        return int(self.ask("INFO", "replication")["master_repl_offset"])

    def leads(self) -> bool:
        """Say whether it is up and a master."""
        with suppress(redis.RedisError):  # it cuts all connections when it changes its role
            return self.role() == "master"
        return False

    def follows(self, offset: int) -> bool:
        """Say whether it is a replica that hears from its master and has come so far."""
        with suppress(redis.RedisError):
            told = self.ask("INFO", "replication")
            up = told["role"] == "slave" and told["master_link_status"] == "up"
            return bool(up and told["slave_repl_offset"] >= offset)
        return False

    def wait_in_sync(self, master: RedisServer) -> None:
        """Wait until this replica has all that `master` has now."""
        offset = master.offset()
        wait_until(lambda: self.follows(offset), START_SECONDS, self.log)


def _quoted(text: str) -> str:
    """Write a word of the configuration so that no character in it means anything."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
