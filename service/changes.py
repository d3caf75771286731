"""What changed in the stock: each change encoded once, and told to all streams with the same bytes.

In come the events as last read; out come server-sent events (HTML, section 9.2) since any state
that a stream has seen. An id names a whole state: it follows from the numbers alone, so it means
the same in every web process, on every host, after every restart.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import takewhile
from typing import Final, NamedTuple

import msgspec

from service.views import EventStock, to_rfc3339, view_stock
from workers.domain import Event

STATES_KNOWN_MAX: Final = 4_096  # a quarter of an hour of changes all the time

_encode = msgspec.json.Encoder().encode


class _Entry(NamedTuple):
    """An event's stock, since which version it stands, and how it is told."""

    stock: EventStock
    version: int
    message: bytes
    digest: int


class Changes:
    """The stock of all events as last read. `version` grows with every read that found a change."""

    def __init__(self) -> None:
        self.version = 0
        self._state = 0  # all entries' digests together (xor), which a change updates in one step
        self._entries: dict[str, _Entry] = {}  # what changed last comes last
        self._known: dict[str, int] = {}  # versions by the ids they had; the oldest comes first
        self._told: dict[tuple[int, str | None], bytes] = {}  # what was asked for at this version

    @property
    def id(self) -> str:
        """The state's id."""
        return f"{self._state:016x}"

    def update(self, events: list[Event], now_ms: int) -> None:
        """Take in what was read at `now_ms`, milliseconds since 1970."""
        changed = False
        for event in events:
            stock = view_stock(event, now_ms)
            known = self._entries.get(stock.event)
            if known is None or known.stock != stock:
                changed = True
                self._change(stock, known, now_ms)
        if changed or not self.version:
            self.version += 1
            self._told.clear()
            self._known.pop(self.id, None)
            self._known[self.id] = self.version
            if len(self._known) > STATES_KNOWN_MAX:
                del self._known[next(iter(self._known))]

    def seen(self, last_event_id: str) -> int:
        """Return the version that a client saw who names this id; 0 if it is not known here."""
        return self._known.get(last_event_id, 0)

    def since(self, version: int, event: str | None = None) -> bytes:
        """Return what changed since a version, of one event or of all; b"" if nothing did.

        Only the last message carries the id: a client that is cut off before it has not seen the
        whole state, and asks from the one before.
        """
        wanted = (version, event)
        if (told := self._told.get(wanted)) is None:
            told = self._told[wanted] = self._tell(version, event)
        return told

    def _tell(self, version: int, event: str | None) -> bytes:
        newer = takewhile(lambda entry: entry.version > version, reversed(self._entries.values()))
        messages = [e.message for e in newer if event in (None, e.stock.event)]  # newest first
        if messages:
            messages[0] = f"id: {self.id}\n".encode() + messages[0]
        return b"".join(reversed(messages))

    def _change(self, stock: EventStock, known: _Entry | None, now_ms: int) -> None:
        digest = int.from_bytes(blake2b(_encode(stock), digest_size=8).digest(), "big")
        self._state ^= digest ^ (known.digest if known else 0)
        shown = msgspec.structs.replace(stock, as_of=to_rfc3339(now_ms))
        message = b"event: remaining\ndata: " + _encode(shown) + b"\n\n"
        self._entries.pop(stock.event, None)
        self._entries[stock.event] = _Entry(stock, self.version + 1, message, digest)
