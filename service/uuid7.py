"""Keys that sort by the time they were made: UUIDs of version 7 (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable


class KeyMint:
    """Makes idempotency keys, unique and in the order of minting. Threads may share it.

    The 12 bits behind the milliseconds are a finer fraction of time (section 6.2, method 3); a
    clock that stands still or is set back is counted on from the last key. 62 random bits keep a
    key from being guessed.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._last = 0
        self._lock = threading.Lock()

    def mint(self) -> str:
        """Return a new key, 36 characters."""
        milliseconds, rest_ns = divmod(self._clock_ns(), 1_000_000)
        moment = milliseconds << 12 | (rest_ns << 12) // 1_000_000
        with self._lock:
            self._last = moment = max(moment, self._last + 1)
        version, variant = 7, 0b10
        high = moment >> 12 << 16 | version << 12 | moment & 0xFFF
        low = variant << 62 | int.from_bytes(os.urandom(8)) >> 2
        text = f"{high << 64 | low:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


mint_key = KeyMint().mint
