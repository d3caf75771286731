"""The small program this project grew from: processes read a count in a file, wait, and write it.

In: the file, the capacity and a lock. Out: a Flask app with `POST /buy` and `GET /remaining`, and
gunicorn around it. Whether it oversells hangs on the lock alone: `no_lock.py` and `file_lock.py`
differ in nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask, request

from loadtest.servers import LOOPBACK, end

EVENT, TICKET_TYPE = "gala", "general"
THINK_SECONDS = 0.002  # the moment between look and buy, in which another process looks too
PROCESSES, THREADS = 4, 8
KEEP_ALIVE_SECONDS = 75  # longer than a client is idle: none shall post into a closing connection

Lock = Callable[[Path], AbstractContextManager[object]]
Answer = tuple[dict[str, Any], int]


class TicketFile:
    """A count of tickets, shared between processes by nothing but a file."""

    def __init__(self, path: Path, capacity: int, lock: Lock) -> None:
        self.path, self.capacity, self.lock = path, capacity, lock

    def remaining(self) -> int:
        """Read the count."""
        return int(json.loads(self.path.read_text())["remaining"])

    def write(self, remaining: int) -> None:
        """Write the count at once: a half-written file would hide the oversell behind a 500."""
        draft = self.path.with_name(uuid.uuid4().hex)
        draft.write_text(json.dumps({"remaining": remaining}))
        draft.replace(self.path)

    def take(self, quantity: int) -> range | None:
        """Return the numbers of the tickets sold, or None when there are not enough."""
        with self.lock(self.path):
            remaining = self.remaining()
            if quantity > remaining:
                return None
            time.sleep(THINK_SECONDS)
            self.write(remaining - quantity)
        first = self.capacity - remaining + 1
        return range(first, first + quantity)


def create_app(lock: Lock) -> Flask:
    """Return the two routes over the file and capacity that `serve` put in the environment."""
    app = Flask(__name__)
    tickets = TicketFile(Path(os.environ["PEER_FILE"]), int(os.environ["PEER_CAPACITY"]), lock)

    @app.post("/buy")
    def buy() -> Answer:
        wish = request.get_json()
        numbers = tickets.take(wish["quantity"])
        if numbers is None:
            return {"type": "/problems/sold-out", "title": "Sold out", "status": 409}, 409
        return order(wish, numbers), 201

    @app.get("/remaining")
    def remaining() -> Answer:
        as_of = datetime.now(UTC).isoformat(timespec="milliseconds")
        left, total = tickets.remaining(), tickets.capacity
        count = {"capacity": total, "sold": total - left, "held": 0, "remaining": left}
        event = {"event": EVENT, **count, "ticket_types": [{"ticket_type": TICKET_TYPE, **count}]}
        return {"as_of": as_of, "events": [event]}, 200

    return app


def order(wish: dict[str, Any], numbers: range) -> dict[str, Any]:
    """Shape an order as soldout does, as far as this program knows of one."""
    return {
        "id": str(uuid.uuid4()),
        "event": EVENT,
        "buyer": wish.get("buyer"),
        "items": [{"ticket_type": TICKET_TYPE, "quantity": len(numbers)}],
        "tickets": [{"number": number, "ticket_type": TICKET_TYPE} for number in numbers],
    }


def serve(module: str) -> None:
    """Run `module:create_app()` under gunicorn until SIGTERM, with a ticket file of its own."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--capacity", type=int, default=100)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="soldout-peer-") as folder:
        path = Path(folder, "tickets.json")
        path.write_text(json.dumps({"remaining": options.capacity}))
        variables = {"PEER_FILE": str(path), "PEER_CAPACITY": str(options.capacity)}
        gunicorn = subprocess.Popen(
            gunicorn_command(module, options.port), env=os.environ | variables
        )
        try:
            gunicorn.wait()
        finally:
            end(gunicorn)


def gunicorn_command(module: str, port: int) -> list[str]:
    """Return the command that serves an app with several processes of several threads each."""
    return [
        *(sys.executable, "-m", "gunicorn", "--no-control-socket", "--bind", f"{LOOPBACK}:{port}"),
        *("--workers", str(PROCESSES), "--worker-class", "gthread", "--threads", str(THREADS)),
        *("--keep-alive", str(KEEP_ALIVE_SECONDS), f"{module}:create_app()"),
    ]


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
