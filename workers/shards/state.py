"""How a shard stands in Redis, for whoever watches: what waits there, and who works there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from workers.shards.keys import Keys

if TYPE_CHECKING:
    from workers.shards.link import Link  # and with it Redis' driver, which one host never loads


class ShardState(NamedTuple):
    """One shard at one moment."""

    shard: int
    frames: int  # that wait on its stream
    workers: int  # of all hosts, heard of lately
    older: bool  # marked as older than it was seen: nothing is sold from it


def read_state(link: Link, shard: int, workers: int) -> ShardState:
    """Ask Redis, in one short round trip. Raises LedgerFault."""
    keys = Keys(shard)
    frames, older = link.ask(("XLEN", keys.commands), ("HGET", keys.meta, "older"))
    return ShardState(shard, int(frames), workers, bool(older))
