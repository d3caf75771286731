"""The workers of every host, as they tell Redis about once a second."""

from __future__ import annotations

from typing import Final

import msgspec

from workers.hearts import Pulse
from workers.shards.keys import Keys
from workers.shards.link import Command, Link

TELL_EVERY_MS: Final = 1_000
GONE_AFTER_MS: Final = 10_000  # without a word; by Redis' clock on both sides
FORGET_AFTER_MS: Final = 3_600_000  # then its entry is removed by whoever starts

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[int, Pulse]).decode  # when by Redis' clock, and what


def name_of(host: str, pulse: Pulse) -> str:
    """Return a worker's name, under which it owns locks too: no two ever have the same."""
    return f"{host}:{pulse.pid}:{pulse.started_ms}"


def host_of(name: str) -> str:
    """Return the host of the worker of this name."""
    return name.rsplit(":", 2)[0]


def tell(shard: int, name: str, pulse: Pulse, redis_ms: int) -> Command:
    """Return the command that tells of a worker, by its name."""
    return ("HSET", Keys(shard).workers, name, _encode((redis_ms, pulse)))


def untell(shard: int, name: str) -> Command:
    """Return the command that says that a worker left."""
    return ("HDEL", Keys(shard).workers, name)


def read_pulses(link: Link, shard: int) -> list[tuple[str, Pulse]]:
    """Return (host, pulse) of each worker of a shard that was heard of lately."""
    return [
        (host, pulse) for _, age_ms, host, pulse in _read(link, shard) if age_ms < GONE_AFTER_MS
    ]


def forget_old(link: Link, shard: int) -> None:
    """Remove what hosts left behind that are gone for long. Raises LedgerFault."""
    old = [field for field, age_ms, _, _ in _read(link, shard) if age_ms > FORGET_AFTER_MS]
    if old:
        link.ask(("HDEL", Keys(shard).workers, *old))


def _read(link: Link, shard: int) -> list[tuple[bytes, int, str, Pulse]]:
    time, pairs = link.ask(("TIME",), ("HGETALL", Keys(shard).workers))
    now = int(time[0]) * 1000 + int(time[1]) // 1000
    found = []
    for field, value in zip(pairs[::2], pairs[1::2], strict=True):
        try:
            told_ms, pulse = _decode(value)
            found.append((field, now - told_ms, host_of(field.decode()), pulse))
        except ValueError:  # another version's: it is nobody that we know
            continue
    return found
