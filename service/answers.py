"""The response class of this app: a whole body, known headers, and nothing left to work out.

Werkzeug's own response works out content length, location and closing at every answer, which costs
a fifth of a request. Here they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from flask import Response, request
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECURITY: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]
NOT_STORED: Final = ("Cache-Control", "no-store")

_LINES: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_encode = msgspec.json.Encoder().encode


class CleanHeaders(Headers):
    """Headers made of pairs that are known to be clean: nothing in them is checked again."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__()
        self._list = pairs


class Answer(Response):
    """A response whose headers are complete when it is made."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as WSGI wants it; whatever is more than a plain body goes Werkzeug's way."""
        plain = not self.is_streamed and "Content-Length" in self.headers
        if not plain or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return self.response  # type: ignore[return-value]  # not streamed: a list of bytes


def answer(
    body: Any,
    status: int = 200,
    *headers: tuple[str, str],
    media_type: str = "application/json",
    security: list[tuple[str, str]] = SECURITY,
) -> Answer:
    """Return a body as JSON, or as it is if it is bytes already."""
    data = body if isinstance(body, bytes) else _encode(body)
    length = str(len(data))
    known = [("Content-Type", media_type), ("Content-Length", length), *security, *headers]
    return Answer([data], _LINES[status], CleanHeaders(known))


def packable(
    body: Callable[[], bytes], packed: Callable[[], bytes], *headers: tuple[str, str], **how: Any
) -> Answer:
    """Return a body packed for whoever takes it so: a third of the bytes, on slow telephones."""
    varying = [*headers, ("Vary", "Accept-Encoding")]
    if request.accept_encodings["gzip"]:
        return answer(packed(), 200, *varying, ("Content-Encoding", "gzip"), **how)
    return answer(body(), 200, *varying, **how)


def moved(address: str) -> Answer:
    """Send whoever wrote a page's address in another way to where it is."""
    return answer(b"", 308, ("Location", address), media_type="text/plain; charset=utf-8")
