"""The Redis where all hosts meet: its connections, its shards and the ledger's identity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from workers.errors import BadSetting, BootFailed, LedgerFault, LedgerLost
from workers.hearts import clock_ms
from workers.settings import Settings
from workers.shards.identity import Identity, read_identity
from workers.shards.keys import LEDGER, SHARDS, Keys
from workers.shards.link import SOCKET_SECONDS, Command, Link, Script, call
from workers.shards.memory import Mark, Memory
from workers.shards.notes import Notes
from workers.shards.promises import WAITAOF_SINCE, check_version, weaknesses
from workers.shards.topology import Topology, topology_of

SILENT_MS: Final = 100  # after a read that failed, nobody else tries
READERS_MAX: Final = 16  # connections that read for one process: reads are short, others wait

_RECOGNIZE = Script("recognize")


class Server:
    """One process's view of the Redis ledger. Make it after any fork."""

    def __init__(self, topology: Topology, memory: Memory, *, strict: bool, asked: int | None):
        self.topology = topology
        self.memory = memory
        self._strict = strict
        self._asked = asked
        self._proposed = 1  # by whoever was told a number, until there is a ledger
        self._identity: Identity | None = None
        self._idle: dict[int, list[Link]] = {}
        self.has_waitaof = False  # until `check` has looked
        self._silent_until_ms: dict[int, int] = {}
        self._readers = threading.BoundedSemaphore(READERS_MAX)

    # --- connections ---

    def link(self, shard: int) -> Link:
        """Return a connection of one's own to a shard's server; shard 0 is the identity's."""
        key = Keys(shard).meta if shard else LEDGER
        return Link(lambda: self.topology.place_of(key), self.topology.forget)

    @contextmanager
    def reading(self, shard: int) -> Iterator[Link]:
        """Lend a connection to a shard's server for a short read; greenlets share a few.

        Raises LedgerFault at once if one has just waited in vain: a crowd of readers must not.
        """
        if not self._readers.acquire(timeout=SOCKET_SECONDS):
            raise LedgerFault("too many reads wait for Redis")
        try:
            if clock_ms() < self._silent_until_ms.get(shard, 0):
                raise LedgerFault("Redis does not answer")
            idle = self._idle.setdefault(shard, [])
            link = idle.pop() if idle else self.link(shard)
            link.close_if_stale()  # since Redis restarted: it is back, and no reader shall wait
            try:
                yield link
            except LedgerLost:  # it answers; and whoever asks next shall hear the same
                raise
            except LedgerFault:
                self._silent_until_ms[shard] = clock_ms() + SILENT_MS
                raise
            finally:
                idle.append(link)
        finally:
            self._readers.release()

    def close(self) -> None:
        """Let go of all connections that are not in use, and keep what was seen."""
        self.memory.flush()
        for links in self._idle.values():
            while links:
                links.pop().close()
        self.topology.close()

    def recognize(self, shard: int, link: Link, *commands: Command) -> list[Any]:
        """Ask a shard's server; return its replies if it holds our ledger and all we saw of it.

        What is missing is marked there, so that nobody sells. Raises LedgerFault, LedgerLost.
        """
        memory, looked_for = self.memory, self.memory.marks(shard)
        link.learn(_RECOGNIZE)
        known = memory.ledger_id, memory.wanted(looked_for)
        recognize = call(_RECOGNIZE, [Keys(shard).meta], *known)
        (ledger, confirmed, missing), *replies = link.ask(recognize, *commands)
        try:
            memory.check_ledger(ledger.decode())
            if missing:
                raise memory.lost(shard, int(missing))
        except LedgerLost:
            link.mistrust()
            raise
        memory.learn(shard, Mark.read(confirmed), looked_for)
        return replies

    # --- identity ---

    def identity(self) -> Identity | None:
        """Return the ledger's identity, None before the first event is put.

        Raises LedgerFault, and LedgerLost if it is not the ledger that this host has seen.
        """
        if self._identity is None:
            found = self._read_identity()
            if found is None or not found.ready:
                begun = found is not None and found.id == self.memory.ledger_id
                self.memory.check_ledger(self.memory.ledger_id if begun else "")
                return None
            self.memory.check_ledger(found.id)
            self._identity = found
        return self._identity

    @property
    def shards(self) -> int:
        """How many shards there are, or will be. Raises LedgerFault."""
        identity = self.identity()
        return identity.shards if identity else self._asked or self._proposed

    def check_shards(self) -> None:
        """See to it that the ledger, if there is one, has as many shards as this host was told.

        Raises LedgerFault, BadSetting.
        """
        identity = self.identity()
        if identity is not None and self._asked not in (None, identity.shards):
            raise BadSetting(
                f"SOLDOUT_SHARDS={self._asked}: the ledger in Redis has {identity.shards}"
            )

    def propose_shards(self) -> None:
        """Tell all hosts how many shards this one was told that a new ledger shall have.

        Raises LedgerFault.
        """
        if self._asked is not None and self.identity() is None:
            with self.reading(0) as link:
                link.ask(("SET", SHARDS, self._asked))

    def create(self) -> Identity:
        """Make the ledger: the explicit act. Who comes second, or after a crash, ends what began.

        Raises LedgerFault.
        """
        known = self.identity()
        if known is not None:
            return known
        with self.reading(0) as link:
            link.ask(("SET", LEDGER, msgspec.json.encode(Identity.new(self.shards)), "NX"))
        draft = self._read_identity()
        if draft is None:
            raise LedgerFault("Redis lost what it was just told")
        for shard in range(1, draft.shards + 1):
            with self.reading(shard) as link:
                _, found = link.ask(
                    ("HSETNX", Keys(shard).meta, "ledger", draft.id),
                    ("HGET", Keys(shard).meta, "ledger"),
                )
            if found.decode() != draft.id:
                raise LedgerLost(f"shard {shard} belongs to another ledger, {found.decode()}")
        ready = msgspec.structs.replace(draft, ready=True)
        with self.reading(0) as link:
            link.ask(("SET", LEDGER, msgspec.json.encode(ready)))
        identity = self.identity()
        if identity is None:
            raise LedgerFault("Redis lost what it was just told")
        return identity

    def _read_identity(self) -> Identity | None:
        with self.reading(0) as link:
            text, proposed = link.ask(("GET", LEDGER), ("GET", SHARDS))
        self._proposed = int(proposed or 1)
        return read_identity(text) if text else None

    # --- promises ---

    def check(self, beat: Callable[[], None] = lambda: None) -> list[str]:
        """Look at every server's version and settings; return what weakens the promise, in words.

        Calls `beat` before each wait. Raises BootFailed for what cannot work, or weakens it without
        having been allowed; LedgerFault if a server cannot be reached.
        """
        weak: list[str] = []
        versions: list[tuple[int, int]] = []
        for options in self.topology.masters():
            link = Link(lambda options=options: options, self.topology.forget)  # type: ignore[misc]
            link.beat = beat
            try:
                versions.append(check_version(link))
                weak += weaknesses(link)
            finally:
                link.close()
        self.has_waitaof = min(versions) >= WAITAOF_SINCE
        if weak and self._strict:
            raise BootFailed(
                f"Redis would break the promise: {'; '.join(weak)}."
                " SOLDOUT_REDIS_DURABILITY=relaxed accepts that"
            )
        return weak


def open_server(settings: Settings) -> Server:
    """Return this process's view of the Redis ledger, not connected yet. Raises BadSetting."""
    strict = settings.redis_durability == "strict"
    memory = Memory(Notes(settings.data_path / "seen"), strict=strict)
    topology = topology_of(settings.redis_parsed())
    return Server(topology, memory, strict=strict, asked=settings.shards)
