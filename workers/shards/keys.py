"""The map of all keys in Redis, and which shard an event or an order's id belongs to.

soldout:ledger                    string: the ledger's identity, JSON (`identity.Identity`)
soldout:{soldout:ledger}:shards   string: how many shards it shall have, until there is one
soldout:{s01}:meta                hash: ledger (whose shard it is), fence (the newest fencing token
                                  given out), committed (the newest that committed); changed (a
                                  mark, `memory.Mark`: the newest that changed anything), confirmed
                                  (the same of what was answered); epoch (its name), ended:<epoch>
                                  (what had committed when one was over), older (the token of a
                                  batch that was seen and is missing)
soldout:{s01}:lock                string: who holds the lock; expires
soldout:{s01}:wanted              string: somebody waits for the lock; expires
soldout:{s01}:wake                list of at most one element: wakes one worker; in memory
soldout:{s01}:commands            stream: frames of commands, taken off by the commit that settles;
                                  in memory
soldout:{s01}:lane:<lane>         string: the newest frame that one lane of one web process put on
                                  the stream; expires; in memory
soldout:{s01}:answers:<name>      stream: outcomes for one connection of a lane; expires; in memory
soldout:{s01}:workers             hash: a worker's name → its pulse, JSON
soldout:{s01}:events              hash: event id → the event with its stock, JSON
soldout:{s01}:orders              hash: order id (16 bytes) → the order, msgpack
soldout:{s01}:claims              hash: order id → shard, for ids at home here and sold elsewhere
soldout:{s01}:journal:<event>     list: entry n at index n - 1, JSON
soldout:{s01}:tickets:<event>     list: the entry that sold ticket n at index n - 1
soldout:{s01}:bought:<event>      hash: buyer → tickets that stand

In memory: neither on the disk nor on replicas (`in_memory` in `lua/prelude.lua`); that it was taken
off, or expired, is written down.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

PREFIX: Final = "soldout:"
LEDGER: Final = f"{PREFIX}ledger"
SHARDS: Final = f"{PREFIX}{{{LEDGER}}}:shards"


def shard_of_event(event_id: str, shards: int) -> int:
    """Return the shard, from 1, that sells this event."""
    return crc32(event_id.encode()) % shards + 1


def home_of_order(order_id: str, shards: int) -> int:
    """Return the shard that knows where the order of this id is, if it is not there itself."""
    return int(order_id[-8:], 16) % shards + 1


class Keys:
    """The keys of one shard."""

    def __init__(self, shard: int) -> None:
        self._tag = tag = f"{PREFIX}{{s{shard:02}}}:"
        self.meta = f"{tag}meta"
        self.lock = f"{tag}lock"
        self.wanted = f"{tag}wanted"
        self.wake = f"{tag}wake"
        self.commands = f"{tag}commands"
        self.workers = f"{tag}workers"
        self.events = f"{tag}events"
        self.orders = f"{tag}orders"
        self.claims = f"{tag}claims"

    def lane(self, lane: str) -> str:
        """Return the string of the newest frame that a lane has sent."""
        return f"{self._tag}lane:{lane}"

    def answers(self, name: str) -> str:
        """Return the stream of answers to one connection of a lane."""
        return f"{self._tag}answers:{name}"

    def journal(self, event_id: str) -> str:
        """Return the list of an event's journal."""
        return f"{self._tag}journal:{event_id}"

    def tickets(self, event_id: str) -> str:
        """Return the list of an event's tickets."""
        return f"{self._tag}tickets:{event_id}"

    def bought(self, event_id: str) -> str:
        """Return the hash of what each buyer of an event has."""
        return f"{self._tag}bought:{event_id}"
