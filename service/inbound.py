"""The requests of one connection, each as a WSGI environment: the plain ones are read here.

Plain is what nearly every request is: there as a whole in one piece, each field once, in visible
ASCII, and nothing in it that asks for a decision. What is not plain to the letter is read by
gunicorn, from its first byte: gunicorn knows all that HTTP allows, and refuses the rest (but for
two idempotency keys, which it would join). A plain request is read here in a tenth of the time, and
in no other way than gunicorn reads it: `tests/property/test_inbound.py` compares the two.
"""

from __future__ import annotations

import functools
import re
from io import BytesIO
from typing import Any, Final

import gevent
from gunicorn.http.errors import InvalidHeader
from gunicorn.http.message import TOKEN_RE, _ip_in_allow_list
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import base_environ, create

from service.reply import Reply

BODY: Final = "soldout.body"  # where the environment of a plain request has its whole body

# Of a body that the application left: who sends it shall come to read the answer, but not for ever.
REST_MAX_BYTES: Final = 16 << 20
REST_SECONDS: Final = 10.0
REST_PIECE: Final = 256 << 10  # between two, others get a turn

BODY_MAX_DIGITS: Final = 4  # of its length: one read brings no more than 8 KiB
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
# A path without escapes, and perhaps a query.
_TARGET: Final = re.compile(r"(/(?:[^/%?#][^%?#]*)?)(?:\?([^#]*))?")
# Fields on which it depends how a request goes on, or whether it came over TLS.
_DECIDING: Final = frozenset(
    {"EXPECT", "TRANSFER-ENCODING", "X-FORWARDED-PROTOCOL", "X-FORWARDED-SSL"}
)


class Plain:
    """What an answer has to know of a plain request."""

    __slots__ = ("_closes", "method", "uri")
    version = (1, 1)
    body = None  # there is nothing left to read

    def __init__(self, method: str, uri: str, *, closes: bool) -> None:
        self.method = method
        self.uri = uri
        self._closes = closes

    def should_close(self) -> bool:
        """Whether the client sends nothing more on this connection."""
        return self._closes


class Inbound:
    """One connection's requests, one after the other."""

    def __init__(self, cfg: Any, client: Any, address: Any, listens_at: Any) -> None:
        self._cfg = cfg
        self._client = client
        self._address = address
        self._listens_at = listens_at
        self._gunicorn = RequestParser(cfg, client, address)
        self._unreader = self._gunicorn.unreader
        self._common = _common_environ(cfg, client, address, listens_at)
        self._is_proxy = _ip_in_allow_list(
            address[0], cfg.forwarded_allow_ips, cfg.forwarded_allow_networks()
        )
        # A head below both is within the limits of each of its lines.
        self._head_max = min(cfg.limit_request_line, cfg.limit_request_field_size)
        self.request: Any = None  # the one that is being answered

    def next(self) -> tuple[Reply, dict[str, Any]]:
        """Wait for a request and read it, but for its body if that is not there yet.

        Raises StopIteration if there will be none, ParseException for what is none.
        """
        before, self.request = self.request, None
        if before is not None and before.should_close():
            raise StopIteration
        if self._gunicorn.mesg is not None:
            if not _read_rest(self._gunicorn.mesg.body):
                raise StopIteration
            self._gunicorn.mesg = None
        data = self._unreader.read()
        if not data:
            raise StopIteration
        environ = self._read_plain(data)
        if environ is not None:
            return Reply(self.request, self._client, self._cfg), environ
        self._unreader.unread(data)
        self.request = next(self._gunicorn)
        if [name for name, _ in self.request.headers].count("IDEMPOTENCY-KEY") > 1:
            raise InvalidHeader("IDEMPOTENCY-KEY")  # joined, two would be a third key
        reply, environ = create(
            self.request, self._client, self._address, self._listens_at, self._cfg, Reply
        )
        environ["wsgi.multithread"] = True
        return reply, environ

    def _read_plain(self, data: bytes) -> dict[str, Any] | None:
        """Return the environment of a plain request, and keep what came behind it; else None."""
        head, there, rest = data.partition(b"\r\n\r\n")
        if not there or len(head) > self._head_max or not head.isascii():
            return None
        lines = head.decode("ascii").split("\r\n")
        if len(lines) > self._cfg.limit_request_fields or not "".join(lines).isprintable():
            return None
        parts = lines[0].split(" ")
        if len(parts) != 3 or parts[2] != "HTTP/1.1" or parts[0] not in METHODS:
            return None
        method, uri, _ = parts
        target = _TARGET.fullmatch(uri)
        if target is None:
            return None
        environ = self._common.copy()
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            key = _key(name)
            if not colon or key is None or key in environ:
                return None
            environ[key] = value.strip(" ")
        closes = environ.get("HTTP_CONNECTION", "keep-alive").lower()
        length = environ.get("CONTENT_LENGTH", "0")
        if closes not in ("keep-alive", "close") or not (
            length.isdigit() and len(length) <= BODY_MAX_DIGITS and len(rest) >= int(length)
        ):
            return None
        body = rest[: int(length)]
        if len(rest) > len(body):
            self._unreader.unread(rest[len(body) :])
        if self._is_proxy and environ.get("HTTP_X_FORWARDED_PROTO") == "https":
            environ["wsgi.url_scheme"] = "https"
        environ["REQUEST_METHOD"] = method
        environ["RAW_URI"] = uri
        environ["PATH_INFO"], query = target.groups()
        environ["QUERY_STRING"] = query or ""
        environ["wsgi.input"] = BytesIO(body)
        environ[BODY] = body
        self.request = Plain(method, uri, closes=closes == "close")
        return environ


def _read_rest(body: Any) -> bool:
    """Read to a body's end, within limits; return whether it was reached."""
    if body.failed:
        return False
    with gevent.Timeout(REST_SECONDS, exception=False):
        for _ in range(REST_MAX_BYTES // REST_PIECE):
            if not body.read(REST_PIECE):
                return True
            gevent.sleep(0)
    return False


def _common_environ(cfg: Any, client: Any, address: Any, listens_at: Any) -> dict[str, Any]:
    """Return what all environments of a connection have in common."""
    return {
        **base_environ(cfg),
        "wsgi.multithread": True,
        "wsgi.url_scheme": "http",
        "gunicorn.socket": client,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": listens_at[0],
        "SERVER_PORT": str(listens_at[1]),
        "REMOTE_ADDR": address[0],
        "REMOTE_PORT": str(address[1]),
        "SCRIPT_NAME": "",
    }


@functools.lru_cache(maxsize=256)
def _key(name: str) -> str | None:
    """Return where the environment has a field; None for what decides something, or is no name."""
    upper = name.upper()
    if not TOKEN_RE.fullmatch(name) or "_" in name or upper in _DECIDING:
        return None
    key = upper.replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
