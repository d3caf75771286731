"""One keep-alive connection of the crowd, as cheap as can be in asyncio: bytes out, bytes in."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final, NamedTuple, cast

SILENCE_SECONDS: Final = 6.0  # three times what these services wait before they answer 202
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\nContent-Length: "

_numbers = itertools.count(1)


class Heard(NamedTuple):
    """An answer: its status, its head as it came, its body."""

    status: int
    head: bytes
    body: bytes

    @property
    def replayed(self) -> bool:
        """Whether it says that the order had been made before."""
        return b"\r\nIdempotent-Replayed: true" in self.head


class Line(asyncio.Protocol):
    """One request at a time; None is heard when the connection breaks or nothing comes in time."""

    def __init__(self) -> None:
        self.number = 0  # of the connection: another one after each time it broke
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: asyncio.Future[Heard | None] | None = None

    async def ask(self, port: int, request: bytes, hang_up: bool = False) -> Heard | None:
        """Send a request, to `port` if a connection must be made first, and wait for its answer.

        `hang_up`: leave as soon as it is sent, as one who loses patience.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await loop.create_connection(lambda: self, "127.0.0.1", port)
            except OSError:  # TimeoutError is one
                return None
        assert self._transport is not None
        waiting: asyncio.Future[Heard | None] = loop.create_future()
        self._waiting, self._buffer = waiting, b""
        self._transport.write(request)
        alarm = loop.call_later(0.002 if hang_up else SILENCE_SECONDS, self.close)
        try:
            return await waiting
        finally:
            alarm.cancel()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()
        self._lost()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the new connection."""
        self._transport = cast("asyncio.Transport", transport)
        self.number = next(_numbers)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and tell who waits once it is whole."""
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(_HEAD_END)
        if end < 0:
            return
        at = buffer.find(_LENGTH, 0, end) + len(_LENGTH)
        stop = buffer.find(b"\r", at)
        whole = end + 4 + int(buffer[at:stop])
        if len(buffer) < whole:
            return
        head = buffer[:end]
        if b"\r\nConnection: close" in head and self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._tell(Heard(int(buffer[9:12]), head, buffer[end + 4 : whole]))

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell who waits that nothing will come."""
        self._lost()

    def _lost(self) -> None:
        self._transport = None
        self._tell(None)

    def _tell(self, heard: Heard | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(heard)
        self._waiting = None
