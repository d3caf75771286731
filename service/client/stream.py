"""Server-sent events (HTML, section 9.2): bytes come in as they arrive, whole messages go out."""

from __future__ import annotations

import re
from typing import NamedTuple

LINE_ENDS = re.compile(rb"\r\n|\n|\r")


class Message(NamedTuple):
    """One message; `id` names what was seen with it, and is empty if the message says nothing."""

    event: str
    data: bytes
    id: str


class Messages:
    """What a stream has said so far, and not said to its end yet."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[bytes, list[bytes]] = {}

    def feed(self, piece: bytes) -> list[Message]:
        """Take a piece of the stream, cut anywhere; return the messages that it ends."""
        found = []
        # A carriage return at the end may be half of an end of line: it waits for what follows.
        *lines, self._rest = LINE_ENDS.split(self._rest + piece.removesuffix(b"\r"))
        if piece.endswith(b"\r"):
            self._rest += b"\r"
        for line in lines:
            name, _, value = line.partition(b":")
            if line:  # without a name it is a comment, and nobody asks for it
                self._fields.setdefault(name, []).append(value.removeprefix(b" "))
                continue
            if b"data" in self._fields:
                found.append(self._message())
            self._fields.clear()
        return found

    def _message(self) -> Message:
        return Message(
            self._last(b"event") or "message", b"\n".join(self._fields[b"data"]), self._last(b"id")
        )

    def _last(self, name: bytes) -> str:
        return self._fields.get(name, [b""])[-1].decode(errors="replace")
