"""The Redis ledger: one script a batch, which compares the fencing token and writes all or nothing.

It is durable when the script's reply comes, because the server syncs each write (`appendfsync
always`), and on as many replicas as asked for.
"""

from __future__ import annotations

from typing import Any, Final

from workers.domain import Command, Event, Sold, order_id_bytes
from workers.errors import Inconsistent, LedgerFault
from workers.ledgers.redis_rows import (
    StoredEvent,
    id_text,
    read_event,
    read_order,
    reporting_damage,
    to_json,
    write_entry,
    write_order,
)
from workers.ledgers.touched import accounts, named
from workers.rules import Settlement, State
from workers.shards.keys import Keys, home_of_order, shard_of_event
from workers.shards.link import Link, Script
from workers.shards.turn import Turn

REPLICAS_MS: Final = 500  # for replicas to have a batch; below the patience for a reply

_CLAIM = Script("claim")


class RedisLedger:
    """One worker's hold on its shard. `replicas`: so many have a sale before it counts."""

    def __init__(self, turn: Turn, replicas: int = 0) -> None:
        self._turn = turn
        self._keys = turn.keys
        self._replicas = replicas
        self._made: dict[str, tuple[int, int, int]] = {}

    # --- reading what a batch touches ---

    @reporting_damage
    def load(self, commands: list[Command]) -> State:
        """Read every event, order and count that `commands` name. Raises LedgerFault."""
        state = State()
        order_ids, event_ids = named(commands)
        self._read(state, event_ids, order_ids, accounts(commands, {}))
        events = {order.event for order in state.orders.values()} - event_ids
        known = accounts([], state.orders) - state.bought.keys()
        if events or known:
            self._read(state, events, set(), known)
        self._read_claims(state, order_ids - state.orders.keys())
        return state

    def _read(
        self, state: State, events: set[str], orders: set[str], buyers: set[tuple[str, str]]
    ) -> None:
        event_ids, order_ids, pairs = list(events), list(orders), sorted(buyers)
        asked: list[tuple[Any, ...]] = []
        if event_ids:
            asked.append(("HMGET", self._keys.events, *event_ids))
        if order_ids:
            asked.append(("HMGET", self._keys.orders, *map(order_id_bytes, order_ids)))
        asked += [("HGET", self._keys.bought(event), buyer) for event, buyer in pairs]
        if not asked:
            return
        replies = iter(self._turn.ask(*asked))
        if event_ids:
            for event_id, value in zip(event_ids, next(replies), strict=True):
                if value is not None:
                    stored = read_event(value)
                    state.events[event_id] = stored.event
                    self._made[event_id] = stored.made
        if order_ids:
            for order_id, value in zip(order_ids, next(replies), strict=True):
                if value is not None:
                    state.orders[order_id] = read_order(order_id, value)
        for pair, value in zip(pairs, replies, strict=True):
            state.bought[pair] = int(value or 0)

    # --- keys that were used in other shards ---

    def _read_claims(self, state: State, unknown: set[str]) -> None:
        mine = str(self._turn.shard).encode()
        for home, ids in self._by_home(unknown).items():
            with self._turn.server.reading(home) as link:
                [claims] = link.ask(("HMGET", Keys(home).claims, *map(order_id_bytes, ids)))
            state.elsewhere.update(
                order_id
                for order_id, claim in zip(ids, claims, strict=True)
                if claim not in (None, mine)
            )

    def _claim(self, sold: set[str]) -> None:
        """Make sure that no other shard sells under the same keys, now or ever.

        What was sold before is claimed again: a replica that was promoted may lack the claim.
        """
        for home, ids in self._by_home(sold).items():
            with self._turn.server.reading(home) as link:
                keys = [Keys(home).claims]
                others = link.run(_CLAIM, keys, self._turn.shard, *map(order_id_bytes, ids))
                if self._replicas:
                    self._wait_for_replicas(link)
            if others:
                names = ", ".join(map(id_text, others))
                raise LedgerFault(f"another shard sells under the same keys: {names}")

    def _by_home(self, order_ids: set[str]) -> dict[int, list[str]]:
        """Sort ids by the shard that keeps their claims; with one shard none is needed."""
        homes: dict[int, list[str]] = {}
        shards = self._turn.server.shards
        for order_id in order_ids if shards > 1 else ():
            homes.setdefault(home_of_order(order_id, shards), []).append(order_id)
        return homes

    # --- writing what was decided ---

    @reporting_damage
    def commit(self, settlement: Settlement, token: int) -> None:
        """Write the batch; durable on return. If it settles all that was read, end the turn."""
        turn = self._turn
        if not turn.ledger_id:
            turn.ledger_id = self._identify(settlement)
        self._check_place(settlement)
        self._claim({o.order.id for o in settlement.outcomes if isinstance(o, Sold)})
        keys, writes = self._writes(settlement, token)
        bodies = turn.bodies(settlement.outcomes) if turn.token == token else []
        if self._replicas:
            turn.commit(token, keys, writes, [])
            self._wait_for_replicas(turn.link)
            turn.safe = True
            if bodies:
                turn.answer(bodies)
        else:
            turn.commit(token, keys, writes, bodies)
            turn.safe = not bodies

    def _identify(self, settlement: Settlement) -> str:
        """Return which ledger this is; the first event that is put makes it."""
        if settlement.events:
            return self._turn.server.create().id
        identity = self._turn.server.identity()
        return identity.id if identity else ""

    def _check_place(self, settlement: Settlement) -> None:
        """A last wall: who sent it may have had another number of shards in mind."""
        for event_id in settlement.events:
            place = shard_of_event(event_id, self._turn.server.shards)
            if place != self._turn.shard:
                raise Inconsistent(f"shard {place} sells {event_id}, not {self._turn.shard}")

    def _writes(self, settlement: Settlement, token: int) -> tuple[list[str], list[Any]]:
        """Return keys and arguments as `commit.lua` wants them."""
        keys: list[str] = []
        writes: list[Any] = [
            len(settlement.events),
            len(settlement.sales),
            len(settlement.cancels),
        ]
        for event in settlement.events.values():
            keys += [
                self._keys.journal(event.id),
                self._keys.tickets(event.id),
                self._keys.bought(event.id),
            ]
            self._write_event(settlement, event, token, writes)
        for order in (*settlement.sales, *settlement.cancels):
            writes += (order_id_bytes(order.id), write_order(order))
        return keys, writes

    def _write_event(
        self, settlement: Settlement, event: Event, token: int, writes: list[Any]
    ) -> None:
        entries = [entry for entry in settlement.entries if entry.event == event.id]
        sales = [order for order in settlement.sales if order.event == event.id]
        bought = [(buyer, n) for (id_, buyer), n in settlement.bought.items() if id_ == event.id]
        sold = sum(order.quantity for order in sales)
        first = entries[0]
        made = self._made.setdefault(
            event.id, (first.at_ms, token, settlement.entries.index(first))
        )
        writes += (
            event.id,
            event.entries - len(entries),
            event.next_number - 1 - sold,
            to_json(StoredEvent(made, event)),
        )
        writes.append(len(entries))
        writes += map(write_entry, entries)
        writes.append(len(sales))
        for order in sales:
            writes += (order.entry, order.quantity)
        writes.append(len(bought))
        for pair in bought:
            writes += pair

    def _wait_for_replicas(self, link: Link) -> None:
        """Raise LedgerFault unless enough replicas have all that was written on this connection.

        On their disks, where the server can tell; before Redis 7.2, in their memory.
        """
        if self._turn.server.has_waitaof:
            [(_, have)] = link.ask(("WAITAOF", 0, self._replicas, REPLICAS_MS))
        else:
            [have] = link.ask(("WAIT", self._replicas, REPLICAS_MS))
        if have < self._replicas:
            raise LedgerFault(f"only {have} of {self._replicas} replicas have the batch")

    def last_token(self) -> int:
        """Return the newest fencing token committed."""
        [token] = self._turn.ask(("HGET", self._keys.meta, "committed"))
        return int(token or 0)

    def close(self) -> None:
        """Let go of the shard."""
        self._turn.close()
