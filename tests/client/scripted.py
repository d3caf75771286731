"""A real HTTP server on loopback that plays a script: one step for each request, in order.

It shows the client what a healthy service cannot be asked to do: lose a connection, stay silent,
answer like a proxy. A step is an answer, `DROP` or `SILENCE`; requests are recorded as they came.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ORDER: dict[str, Any] = {
    "id": "01936b5e-0000-7000-8000-000000000001",
    "event": "gala",
    "status": "sold",
    "buyer": None,
    "items": [{"ticket_type": "general", "quantity": 1}],
    "tickets": [{"number": 17, "ticket_type": "general", "code": "5f1c9e0a7b3d2468"}],
    "total": {"amount": 2500, "currency": "EUR"},
    "sold_at": "2026-11-23T09:00:00.123Z",
}
PENDING = {"id": ORDER["id"], "status": "pending", "expires_at": "2026-11-23T09:00:30.000Z"}
KEY = "the-key-of-this-purchase"
DROP = "drop the connection without an answer"
SILENCE = "never answer"


@dataclass
class Answer:
    """One scripted answer."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


def sold() -> Answer:
    return Answer(201, ORDER)


def problem(status: int, slug: str, retry_after: str | None = None, **members: object) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    body = {"type": f"/problems/{slug}", "title": slug, "status": status, **members}
    return Answer(status, body, headers, "application/problem+json")


BUSY = problem(503, "overloaded", "2", detail="the queue is full")


def pending(retry_after: str = "1") -> Answer:
    return Answer(202, PENDING, {"Retry-After": retry_after})


def not_settled(retry_after: str | None = "1") -> Answer:
    return problem(404, "not-settled", retry_after)


class Script(ThreadingHTTPServer):
    """The server: its script, what it has seen, and where it listens."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Player)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.steps: list[Answer | str] = []
        self.seen: list[Request] = []
        self.connections = 0
        self.over = threading.Event()

    def play(self, *steps: Answer | str) -> None:
        self.steps = list(steps)

    @property
    def keys(self) -> list[str]:
        return [request.key for request in self.seen if request.method == "POST"]

    def stop(self) -> None:
        """Listen no more; the next connection is refused."""
        self.over.set()
        self.shutdown()
        self.server_close()


class _Player(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Script

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def play_step(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(Request(self.command, self.path, dict(self.headers), body))
        step = self.server.steps.pop(0) if self.server.steps else Answer(599, "the script is over")
        if isinstance(step, Answer):
            self.answer(step)
            return
        if step is SILENCE:
            self.server.over.wait()
        self.close_connection = True

    def answer(self, answer: Answer) -> None:
        content = answer.content()
        headers = {"Content-Type": answer.media_type, "Content-Length": str(len(content))}
        self.send_response(answer.status)
        for name, value in (headers | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        if "Content-Length" in answer.headers:  # a false one: what is missing never comes
            self.close_connection = True

    do_GET = do_POST = do_PUT = play_step  # noqa: N815 - names that the library looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextlib.contextmanager
def playing() -> Iterator[Script]:
    """Run a scripted server for the length of a `with` block."""
    script = Script()
    thread = threading.Thread(target=script.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        script.stop()
        thread.join()
