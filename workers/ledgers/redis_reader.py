"""The web's view of the Redis ledger: short reads of what is committed, each from one shard.

Every read also asks which ledger it is, and how far it has come: a Redis that came back empty,
older or as another one is refused here too.
"""

from __future__ import annotations

from typing import Any, Final

from workers.domain import Entry, Event, Order, TicketsSold, order_id_bytes
from workers.errors import NoLedger
from workers.hearts import HostPulse
from workers.ledgers.redis_rows import (
    read_entry,
    read_event,
    read_order,
    reporting_damage,
)
from workers.shards.keys import Keys, home_of_order, shard_of_event
from workers.shards.link import Command, Link
from workers.shards.pulses import read_pulses
from workers.shards.server import Server
from workers.shards.state import ShardState, read_state

JOURNAL_PAGE: Final = 500


class RedisReader:
    """A web process's view of all shards. Greenlets may share it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._looking: dict[int, Link] = {}

    @property
    def ledger_id(self) -> str:
        """Which ledger this is. Raises NoLedger before the first event is put."""
        identity = self._server.identity()
        if identity is None:
            raise NoLedger("no event has been put yet")
        return identity.id

    @property
    def secret(self) -> bytes:
        """What order ids are made with. Raises NoLedger before the first event is put."""
        identity = self._server.identity()
        if identity is None:
            raise NoLedger("no event has been put yet")
        return bytes.fromhex(identity.secret)

    @reporting_damage
    def event(self, event_id: str) -> Event | None:
        """Return one event with its stock."""
        if self._server.identity() is None:
            return None
        shard = self._shard_of(event_id)
        [value] = self._ask(shard, ("HGET", Keys(shard).events, event_id))
        return read_event(value).event if value else None

    @reporting_damage
    def events(self) -> list[Event]:
        """Return all events with their stock, in the order they were made; those of a shard as they
        stood at one moment.
        """
        if self._server.identity() is None:
            return []
        found = []
        for shard in range(1, self._server.shards + 1):
            [values] = self._ask(shard, ("HVALS", Keys(shard).events))
            found += [read_event(value) for value in values]
        found.sort(key=lambda stored: stored.made)
        return [stored.event for stored in found]

    @reporting_damage
    def order(self, order_id: str) -> Order | None:
        """Return one order by its id."""
        if self._server.identity() is None:
            return None
        field, shard = order_id_bytes(order_id), 1
        if self._server.shards > 1:
            home = home_of_order(order_id, self._server.shards)
            [claim] = self._ask(home, ("HGET", Keys(home).claims, field))
            shard = int(claim or home)
        [value] = self._ask(shard, ("HGET", Keys(shard).orders, field))
        return read_order(order_id, value) if value else None

    @reporting_damage
    def orders(self, event_id: str, after: int, limit: int) -> list[Order]:
        """Return up to `limit` orders sold after entry `after`, in order of sale."""
        ids: list[str] = []
        while len(ids) < limit:
            page = self.entries(event_id, after, JOURNAL_PAGE)
            ids += [entry.fact.order for entry in page if isinstance(entry.fact, TicketsSold)]
            if len(page) < JOURNAL_PAGE:
                break
            after = page[-1].number
        if not ids:
            return []
        shard, wanted = self._shard_of(event_id), ids[:limit]
        [values] = self._ask(shard, ("HMGET", Keys(shard).orders, *map(order_id_bytes, wanted)))
        return [read_order(*pair) for pair in zip(wanted, values, strict=True) if pair[1]]

    @reporting_damage
    def entries(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` journal entries after entry `after`."""
        first, values = self._page(event_id, Keys.journal, after, limit)
        return [read_entry(event_id, n, value) for n, value in enumerate(values, first)]

    @reporting_damage
    def entries_at(self, event_id: str, numbers: list[int]) -> list[Entry]:
        """Return those of some entries of an event's journal that there are, in their order."""
        found = self._values_at(event_id, Keys.journal, numbers)
        return [read_entry(event_id, n, value) for n, value in found]

    def tickets(self, event_id: str, after: int, limit: int) -> list[tuple[int, int]]:
        """Return up to `limit` (number, entry of its order) above number `after`."""
        first, values = self._page(event_id, Keys.tickets, after, limit)
        return [(n, int(value)) for n, value in enumerate(values, first)]

    def tickets_at(self, event_id: str, numbers: list[int]) -> list[tuple[int, int]]:
        """Return (number, entry of its order) of those of some tickets that there are, in order."""
        found = self._values_at(event_id, Keys.tickets, numbers)
        return [(n, int(value)) for n, value in found]

    def workers(self) -> list[HostPulse]:
        """Return the workers of every host that were heard of lately."""
        found: list[HostPulse] = []
        for shard in range(1, self._server.shards + 1):
            with self._server.reading(shard) as link:
                found += [HostPulse(*pair) for pair in read_pulses(link, shard)]
        found.sort(key=lambda worker: (worker.host, worker.pulse.worker, worker.pulse.pid))
        return found

    @property
    def shard_count(self) -> int:
        """How many shards there are, or will be. Raises LedgerFault, BootFailed."""
        return self._server.shards

    def look(self, shard: int) -> None:
        """See whether what was seen of a shard is there. Raises LedgerFault, LedgerLost.

        On a connection of its own: if that fails, it holds up nobody who reads. Not for greenlets.
        """
        if shard not in self._looking:
            self._looking[shard] = self._server.link(shard)
        link = self._looking[shard]
        link.close_if_stale()
        self._server.recognize(shard, link)

    def shards(self) -> list[ShardState]:
        """Return how each shard stands."""
        found = []
        for shard in range(1, self._server.shards + 1):
            with self._server.reading(shard) as link:
                found.append(read_state(link, shard, len(read_pulses(link, shard))))
        return found

    def close(self) -> None:
        """Let go of all connections, and note what was seen."""
        while self._looking:
            self._looking.popitem()[1].close()
        self._server.close()

    def _page(self, event_id: str, key_of: Any, after: int, limit: int) -> tuple[int, list[bytes]]:
        """Return the number of the first value, and up to `limit` values of an event's list."""
        if self._server.identity() is None:
            return 1, []
        shard, start = self._shard_of(event_id), max(after, 0)
        key = key_of(Keys(shard), event_id)
        [values] = self._ask(shard, ("LRANGE", key, start, start + limit - 1))
        return start + 1, values

    def _values_at(self, event_id: str, key_of: Any, places: list[int]) -> list[tuple[int, bytes]]:
        """Return the values that stand at some places of an event's list, each with its place."""
        wanted = sorted({place for place in places if place > 0})
        if not wanted or self._server.identity() is None:
            return []
        shard = self._shard_of(event_id)
        key = key_of(Keys(shard), event_id)
        pages = self._ask(shard, *(("LRANGE", key, n - 1, n - 1) for n in wanted))
        return [(n, page[0]) for n, page in zip(wanted, pages, strict=True) if page]

    def _shard_of(self, event_id: str) -> int:
        return shard_of_event(event_id, self._server.shards)

    def _ask(self, shard: int, *commands: Command) -> list[Any]:
        with self._server.reading(shard) as link:
            return self._server.recognize(shard, link, *commands)
