"""A buyer's keep-alive connection, spoken by hand, and what became of each request that went by it.

What a buyer can observe of a lost answer (nobody listens, cut without a byte, torn in the middle,
silence) is what these tests are about, and an HTTP library would blur it.
"""

from __future__ import annotations

import itertools
import select
import socket
import struct
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

import msgspec

SILENCE_SECONDS = 15.0  # three times what a service waits before it answers 202
TCP_INFO_BYTES, BYTES_ACKED_AT = 192, 120  # linux/tcp.h

_connections = itertools.count(1)


class Fate(Enum):
    """What became of one request."""

    ANSWERED = "answered"
    NOT_SENT = "nobody listens, so nothing was sent"
    LATE = "sent when the service had hung up, and taken in by nobody"
    CUT = "sent, and the connection ended without a byte of an answer"
    TORN = "the answer broke off"
    SILENT = "sent, and no answer in time"


@dataclass(slots=True)
class Attempt:
    """One request and its answer."""

    sent_at: float  # monotonic seconds
    seconds: float = 0.0
    line: int = 0  # the connection it went by
    fate: Fate = Fate.ANSWERED
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""

    @property
    def replayed(self) -> bool:
        """Whether the order had been made before."""
        return self.headers.get("idempotent-replayed") == "true"

    @property
    def said(self) -> Any:
        """The answer's JSON."""
        return msgspec.json.decode(self.body)


class Line:
    """One keep-alive connection, made again when it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._connection = 0
        self._taken = 0  # bytes, by the service's kernel before this request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def ask(self, request: bytes) -> Attempt:
        """Send a request and read its answer."""
        return self.read(self.send(request))

    def send(self, request: bytes) -> Attempt:
        """Send a request, whose answer is to be read later."""
        attempt = Attempt(time.monotonic())
        try:
            self._connect()
        except OSError:
            attempt.fate = Fate.NOT_SENT
            return attempt
        attempt.line = self._connection
        self._taken = _bytes_taken(self._connected)
        try:
            self._connected.sendall(request)
        except OSError:
            attempt.fate = Fate.CUT
            self.close()
        return attempt

    def read(self, attempt: Attempt) -> Attempt:
        """Read the answer, if the request could be sent."""
        if attempt.fate is Fate.ANSWERED:
            self._read(attempt)
        attempt.seconds = time.monotonic() - attempt.sent_at
        return attempt

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def fileno(self) -> int:
        """Return the connection's descriptor, for `select`."""
        return self._connected.fileno()

    @property
    def _connected(self) -> socket.socket:
        assert self._socket is not None
        return self._socket

    def _connect(self) -> None:
        if self._socket is not None and _is_readable(self._socket):
            self.close()  # the service hung up while nothing was asked: it announced that in time
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), SILENCE_SECONDS)
            self._connection = next(_connections)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _read(self, attempt: Attempt) -> None:
        data = b""
        try:
            while (end := data.find(b"\r\n\r\n")) < 0:
                data += self._more()
            head = data[:end].decode("latin-1").lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:])
            while len(data) < end + 4 + int(headers["content-length"]):
                data += self._more()
        except TimeoutError:
            attempt.fate = Fate.SILENT
            self.close()
        except HungUpError:
            late = not data and _bytes_taken(self._connected) == self._taken
            attempt.fate = Fate.LATE if late else Fate.TORN if data else Fate.CUT
            self.close()
        except OSError:
            attempt.fate = Fate.TORN if data else Fate.CUT
            self.close()
        else:
            attempt.status = int(head[0].split()[1])
            attempt.headers = headers
            attempt.body = data[end + 4 :]
            if headers.get("connection") == "close":
                self.close()

    def _more(self) -> bytes:
        data = self._connected.recv(65_536)
        if not data:
            raise HungUpError
        return data


class HungUpError(Exception):
    """The other end has sent all that it ever will."""


def _bytes_taken(line: socket.socket) -> int:
    """Return how many bytes the other kernel has acknowledged: after its FIN, no more."""
    info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    taken: int = struct.unpack_from("Q", info, BYTES_ACKED_AT)[0]
    return taken


def _is_readable(line: socket.socket) -> bool:
    poll = select.poll()  # not select(), which knows no descriptor above 1,023
    poll.register(line, select.POLLIN)
    return bool(poll.poll(0))
