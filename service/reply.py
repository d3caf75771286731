"""An answer as gunicorn writes it, but in one write, and with a date that is made once a second.

gunicorn sends the head by itself: for a small answer that is a packet, and a client woken, for
nothing. In: what WSGI gives. Out: bytes on the client's socket.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Final

from gunicorn.http.message import TOKEN_RE
from gunicorn.http.wsgi import Response
from gunicorn.util import http_date, is_hoppish, to_bytestring

TAKE_SECONDS: Final = 20.0  # for a client to take what it is sent; most answers fit into the kernel
LAST_CHUNK: Final = b"0\r\n\r\n"


class HandedOver:
    """What the application returns instead of a body when it has kept the connection."""

    def __iter__(self) -> Iterator[bytes]:
        """Give nothing: the connection is not the server's any more."""
        return iter(())


class Reply(Response):  # type: ignore[misc]  # gunicorn has no types
    """The answer to one request. Its head waits for the first of its body, or for its end."""

    headers_sent: bool
    _head: bytes = b""  # while it is held back

    def should_close(self) -> bool:
        """Whether nothing more can come: also where the next request begins may be unknown."""
        unread = getattr(self.req.body, "failed", False)
        return unread or bool(super().should_close())

    def default_headers(self) -> list[str]:
        """Return the status line and what every answer says."""
        major, minor = self.req.version
        closing = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_date(int(time.time()))}\r\n",
            f"Connection: {closing}\r\n",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Take the application's headers; what is not plain is gunicorn's to judge."""
        for name, value in headers:
            if not (_is_plain_name(name) and _is_plain_value(value)):
                super().process_headers([(name, value)])
                continue
            if name == "Content-Length":
                self.response_length = int(value)
            self.headers.append((name, value.strip(" ")))

    def send_headers(self) -> None:
        """Make the head, once."""
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{k}: {v}\r\n" for k, v in self.headers), "\r\n"]
            self._head = to_bytestring("".join(lines), "latin-1")
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        """Send a part of the body, the first one behind the head."""
        head, self._head = self._head, b""
        self._send(head + (b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data))

    def close(self) -> None:
        """End the answer."""
        self.send_headers()
        if end := self._head + (LAST_CHUNK if self.chunked else b""):
            self._send(end)

    def _send(self, data: bytes) -> None:
        """Send all; gevent's `sendall` asks the kernel first how much goes at once."""
        self.sock.settimeout(TAKE_SECONDS)
        sent = self.sock.send(data)
        if sent < len(data):
            self.sock.sendall(data[sent:])
        self.sock.settimeout(None)


@functools.lru_cache(maxsize=256)
def _is_plain_name(name: str) -> bool:
    """Say whether a header is the application's own affair, or its length in the usual spelling."""
    usual = name == "Content-Length" or name.lower() != "content-length"
    return usual and TOKEN_RE.fullmatch(name) is not None and not is_hoppish(name)


def _is_plain_value(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


@functools.lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return str(http_date(seconds))
