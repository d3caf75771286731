"""HTTP as bytes: what is sent is not looked at, and every answer that comes is read, in order."""

from __future__ import annotations

import json
import re
import socket
from contextlib import closing, suppress
from typing import Any, Final, NamedTuple

from service.problems import KINDS
from tests.harness import Soldout

SILENCE_SECONDS: Final = 15.0
PROBLEM: Final = "application/problem+json"


class Reply(NamedTuple):
    """One answer; `whole` unless the line ended within it."""

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def order(self) -> str | None:
        """The id of the order it confirms, if it does."""
        return self.json["id"] if self.status == 201 and b'"status":"sold"' in self.body else None


def connect(service: Soldout) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), SILENCE_SECONDS)


def converse(service: Soldout, data: bytes, *, half_close: bool = True) -> list[Reply]:
    """Send bytes on a line of their own and return all answers, until the service hangs up."""
    with closing(connect(service)) as line:
        with suppress(OSError):  # it may have been answered, and closed, before all was sent
            line.sendall(data)
            if half_close:
                line.shutdown(socket.SHUT_WR)
        return replies_in(read_all(line))


def read_all(line: socket.socket) -> bytes:
    data = b""
    with suppress(ConnectionError):
        while more := line.recv(65_536):
            data += more
    return data


def replies_in(data: bytes) -> list[Reply]:
    """Part what was read into answers. AssertionError for bytes that are none."""
    found: list[Reply] = []
    while data:
        head, blank, rest = data.partition(b"\r\n\r\n")
        if not blank:
            return [*found, Reply(0, {}, data, whole=False)]
        first, *lines = head.decode("latin-1").split("\r\n")
        assert re.match(r"HTTP/1\.\d \d{3} ", first), data[:200]
        fields = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        status = int(first[9:12])
        if status == 100:
            data = rest
            continue
        if fields.get("transfer-encoding") == "chunked":
            body, data, whole = _chunks(rest)
        else:
            length = int(fields.get("content-length", len(rest)))
            body, data, whole = rest[:length], rest[length:], len(rest) >= length
        found.append(Reply(status, fields, body, whole))
    return found


def _chunks(data: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        size, blank, rest = data.partition(b"\r\n")
        if not blank or len(rest) < int(size, 16) + 2:
            return body, b"", False
        body, data = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        if int(size, 16) == 0:
            return body, data, True


def check_is_an_answer(reply: Reply) -> None:
    """Check what holds of every answer: no 500, and each error is a problem that we know."""
    assert reply.status < 500, reply
    if reply.status >= 400 and reply.whole and reply.body:
        assert reply.fields["content-type"] == PROBLEM, reply
        slug = reply.json["type"].removeprefix("/problems/")
        assert KINDS[slug].status == reply.status, reply
