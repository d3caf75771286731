"""What a Redis must be and do for a confirmed sale to stay: its version and its settings."""

from __future__ import annotations

import re
from typing import Final

from redis.exceptions import ResponseError

from workers.errors import BootFailed, LedgerFault
from workers.shards.link import Link

OLDEST_REDIS: Final = (7, 0)
WAITAOF_SINCE: Final = (7, 2)
SAFE: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}
AT_RISK: Final = {
    "appendonly": "a restart of Redis loses sales",
    "appendfsync": "a power failure loses the sales of the last second",
    "no-appendfsync-on-rewrite": "a power failure during a rewrite loses sales",
    "maxmemory-policy": "a full Redis would throw away orders",
}


def check_version(link: Link) -> tuple[int, int]:
    """Return a server's version. Raises BootFailed if it is too old, LedgerFault."""
    [info] = link.ask(("INFO", "server"))
    found = re.search(rb"redis_version:(\d+)\.(\d+)", info)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < OLDEST_REDIS:
        raise BootFailed(f"Redis {version[0]}.{version[1]} is too old: 7.0 at least")
    return version


def weaknesses(link: Link) -> list[str]:
    """Return which settings of a server weaken the promise, in words. Raises LedgerFault."""
    try:
        [pairs] = link.ask(("CONFIG", "GET", *SAFE))
    except LedgerFault as fault:
        if not isinstance(fault.__cause__, ResponseError):  # it did not refuse: it did not answer
            raise
        return [f"its settings cannot be seen ({fault})"]
    texts = [item.decode() for item in pairs]
    found = dict(zip(texts[::2], texts[1::2], strict=True))
    return [
        f"{name} is {found.get(name)}, not {safe} ({AT_RISK[name]})"
        for name, safe in SAFE.items()
        if found.get(name) != safe
    ]
