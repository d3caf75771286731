"""An application that fails where Flask does not catch it, by the address that is asked for.

gunicorn serves it under our web process; `test_broken_application.py` asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import gevent


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer as the address says."""
    match environ["PATH_INFO"]:
        case "/bug" | "/bug here":
            raise ValueError("a bug")
        case "/timeout":
            raise gevent.Timeout(1)
        case "/bad-header":
            start_response("200 OK", [("X-Mine", "1\r\nSet-Cookie: a=b")])
            return []
        case "/breaks-off":
            start_response("200 OK", [("Content-Length", "20")])
            return _half()
        case _:
            start_response("200 OK", [("Content-Length", "4")])
            return [b"fine"]


app.extensions = {}  # type: ignore[attr-defined]  # where a web process looks for what Flask keeps


def _half() -> Iterator[bytes]:
    yield b"half"
    raise gevent.Timeout(1)
