"""Frames on a shard's stream, as `append.lua` puts them there."""

from __future__ import annotations

import logging
from typing import Final

from msgspec import Struct

from workers.codec import encode

log = logging.getLogger(__name__)

COUNT_MAX: Final = 10_000  # more than any lane sends; each one unread is answered, and costs memory


class Frame(Struct):
    """Commands of one lane, as they were read; `id` is their place in the stream."""

    id: bytes
    count: int
    lane: str
    number: int
    offset_ms: int  # from the sender's clock to Redis' own
    body: bytes
    unread: int = 0  # commands that could not be read, by the sender's count

    @property
    def arrived_ms(self) -> int:
        """When it came, by Redis' clock, which entries of a stream are named by."""
        return int(self.id.partition(b"-")[0])


def read_frame(entry_id: bytes, fields: list[bytes]) -> Frame:
    """Read an entry of the stream; one that is no frame of ours has no commands, and is dropped."""
    found = dict(zip(fields[::2], fields[1::2], strict=False))
    try:
        count = int(found[b"count"])
        if not 0 <= count <= COUNT_MAX:
            raise ValueError(f"{count} commands")
        return Frame(
            entry_id,
            count,
            found[b"lane"].decode(),
            int(found[b"frame"]),
            int(found[b"offset_ms"]),
            found[b"body"],
        )
    except (KeyError, ValueError) as error:
        log.error("an entry of the stream is no frame and is dropped: %r", error)
        return Frame(entry_id, 0, "nobody", 0, 0, encode([]))
