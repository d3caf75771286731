"""Who looks at the stream of stock, over a plain socket: what came, and when it ended."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

LOOK_SECONDS = 20.0  # more than the longest silence, a heartbeat included


class Told(NamedTuple):
    """One message: its entry, and its id if it has one."""

    entry: dict[str, Any]
    id: str | None


class Onlooker:
    """One open stream."""

    def __init__(
        self, port: int, query: str = "", last_event_id: str | None = None, buffer: int = 0
    ) -> None:
        self._socket = socket.socket()
        if buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.settimeout(LOOK_SECONDS)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        named = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id is not None else ""
        request = f"GET /remaining/stream{query} HTTP/1.1\r\nHost: localhost\r\n{named}\r\n"
        self._socket.sendall(request.encode())
        self._unread = b""
        self.last_id = last_event_id
        self.ended = False
        head = self._until(b"\r\n\r\n").decode()
        status, *lines = head.split("\r\n")
        self.status = int(status.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines)

    def block(self) -> bytes:
        """Wait for the next block, up to its empty line; b"" when the stream has ended."""
        return self._until(b"\n\n")

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks until the stream ends."""
        while block := self.block():
            yield block

    def told(self) -> Told:
        """Wait for the next message, whatever comments come before it."""
        for block in self.blocks():
            lines = [line.split(": ", 1) for line in block.decode().splitlines() if line[0] != ":"]
            fields = dict(lines)
            if "data" in fields:
                assert fields["event"] == "remaining"
                self.last_id = fields.get("id", self.last_id)
                return Told(json.loads(fields["data"]), fields.get("id"))
        raise AssertionError("the stream ended")

    def until(self, event: str, **wanted: Any) -> dict[str, Any]:
        """Wait until the stream says this of an event; return all that it said then."""
        limit = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < limit:
            entry = self.told().entry
            if entry["event"] == event and wanted.items() <= entry.items():
                return entry
        raise AssertionError(f"never told: {event} {wanted}")

    def until_ended(self) -> None:
        """Wait until the stream ends."""
        for _ in self.blocks():
            pass

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            try:
                data = self._socket.recv(65_536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.ended = True
                return b""
            self._unread += data
        found, _, self._unread = self._unread.partition(mark)
        return found


def wait_a_round(port: int) -> None:
    """Wait until all who looked on before, at this only web process, were told what they missed."""
    with looking(port) as newcomer:
        newcomer.told()


@contextmanager
def looking(port: int, query: str = "", **how: Any) -> Iterator[Onlooker]:
    """Look at the stream for the length of a `with` block."""
    onlooker = Onlooker(port, query, **how)
    try:
        yield onlooker
    finally:
        onlooker.close()
