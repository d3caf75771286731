"""One line of the log for a request, or for a share of them: what was asked, and how it went.

Nothing in it is a secret: routes instead of addresses, no keys, and of a purchase's id the first
half, which finds it but is no right to read it. Who asked is left out unless the settings allow it.
Lines are gathered and written together: under a crowd, a write for each would cost more than all
else about them.
"""

from __future__ import annotations

import atexit
import os
import random
import sys
from collections import deque
from contextlib import suppress
from typing import Final

import gevent
import msgspec
from flask import Flask, request
from msgspec import Struct
from werkzeug.wrappers import Response

from service.measures import ASKED, Asked
from service.traceparent import read_trace_id
from service.views import to_rfc3339
from workers.hearts import wall_ms
from workers.logs import is_json
from workers.metrics import clock_us
from workers.processes import title
from workers.settings import Settings

WRITE_SECONDS: Final = 0.2  # how long a line may lie here
LINES_MAX: Final = 256  # then they are written at once
ID_SHOWN: Final = 18  # characters of an order's id: the other half stays its reader's secret

_BEGAN: Final = "soldout.began"
_encode = msgspec.json.Encoder().encode


class Line(Struct, omit_defaults=True):
    """A request as the log shows it."""

    at: str
    level: str
    process: str
    pid: int
    message: str
    method: str
    route: str
    status: int
    total_ms: float
    purchase: str | None = None
    outcome: str | None = None
    event: str | None = None
    queue_ms: float | None = None
    worker_ms: float | None = None
    trace_id: str | None = None
    buyer: str | None = None
    client: str | None = None


class AccessLog:
    """Lines of one web process, on their way to standard error."""

    def __init__(self, settings: Settings) -> None:
        self._share = settings.access_log
        self._names = settings.log_buyers
        self._json = is_json(settings.log)
        self._lines: deque[bytes] = deque()

    def install(self, app: Flask) -> None:
        """Look at every request of this app."""
        app.before_request(self._begin)
        app.after_request(self._end)
        atexit.register(self.flush)

    def _begin(self) -> None:
        request.environ[_BEGAN] = clock_us()

    def _end(self, response: Response) -> Response:
        if self._share >= 1 or random.random() < self._share:  # noqa: S311 - a sample, no secret
            self._add(self._line(response))
        return response

    def _line(self, response: Response) -> Line:
        environ = request.environ
        asked: Asked | None = environ.get(ASKED)
        rule = request.url_rule
        line = Line(
            at=to_rfc3339(wall_ms()),
            level="info",
            process=title(),
            pid=os.getpid(),
            message="request",
            method=request.method,
            route=rule.rule if rule else "none",
            status=response.status_code,
            total_ms=(clock_us() - environ[_BEGAN]) / 1_000,
            trace_id=read_trace_id(environ.get("HTTP_TRACEPARENT")),
        )
        if asked is not None:
            _tell(line, asked)
        if self._names:
            line.buyer = asked.purchase.buyer if asked and asked.purchase else None
            line.client = environ.get("REMOTE_ADDR")
        return line

    def _add(self, line: Line) -> None:
        """Keep a line. It is not written here, where a full disk would fail the request."""
        self._lines.append(_encode(line) if self._json else _to_text(line))
        if len(self._lines) == LINES_MAX:
            gevent.spawn(self.flush)
        elif len(self._lines) == 1:
            gevent.spawn_later(WRITE_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what has gathered; lines that cannot be written are lost."""
        if self._lines:
            text = memoryview(b"\n".join(self._lines) + b"\n")
            self._lines.clear()
            with suppress(OSError):  # the disk is full, or nobody reads
                while text:  # a signal may come in between
                    text = text[os.write(sys.stderr.fileno(), text) :]


def _tell(line: Line, asked: Asked) -> None:
    line.outcome = asked.outcome
    if asked.purchase is not None:
        line.purchase, line.event = asked.purchase.id[:ID_SHOWN], asked.purchase.event
    if times := asked.times_us():
        line.queue_ms, line.worker_ms = (us / 1_000 for us in times)


def _to_text(line: Line) -> bytes:
    """Write a line for people; values as JSON, so that none of them can end it."""
    fields = msgspec.to_builtins(line)
    at, level, message = (fields.pop(name) for name in ("at", "level", "message"))
    rest = b" ".join(name.encode() + b"=" + _encode(value) for name, value in fields.items())
    return f"{at} [{level:<9}] {message} ".encode() + rest
