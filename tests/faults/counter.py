"""One worker worked by hand: real socket, real lock, real ledger, and the test says when."""

from __future__ import annotations

import os
import select
import socket
import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.audit import Audit, audit
from workers.codec import decode_outcomes, encode
from workers.domain import (
    Command,
    Item,
    Now,
    Outcome,
    Purchase,
    PutEvent,
    Stored,
    TicketType,
    fingerprint,
)
from workers.handoffs.unix_socket import UnixInbox, short_path, socket_name
from workers.hearts import Hearts, clock_ms, wall_ms
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.locks import HeldProcessLock, ProcessLock
from workers.worker import Worker

EVENT = "gala"
CAPACITY = 100_000
LATER_MS = 60_000
BATCH_MAX = 512
LIMIT_SECONDS = 10.0


def purchase(quantity: int = 1) -> Purchase:
    """Return a purchase that nobody made before."""
    items = [Item(None, quantity)]
    print_ = fingerprint(EVENT, items, None)
    return Purchase(clock_ms() + LATER_MS, str(uuid.uuid4()), print_, EVENT, items)


class Counter:
    """A worker, its ledger with one event on sale, and the web's end of one lane to it."""

    def __init__(self, folder: Path, on_answer: Callable[[list[Outcome]], None]) -> None:
        self.ledger_path = folder / "ledger.db"
        run_dir = folder / "run"
        run_dir.mkdir()
        heart = Hearts(run_dir / "hearts", 1, create=True).start(1, os.getpid())
        shared = ProcessLock()
        lock = HeldProcessLock(shared, heart)
        with lock:
            self._ledger = SqliteLedger(self.ledger_path)
            shared.start_above(self._ledger.last_token())
        self._inbox = _ToldInbox(run_dir, on_answer)
        self._worker = Worker(self._inbox, lock, self._ledger, heart, _now, BATCH_MAX)
        self._lane = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lane.settimeout(LIMIT_SECONDS)
        with short_path(run_dir, socket_name(1)) as path:
            self._lane.connect(path)
        event = [TicketType("general", CAPACITY)]
        (stored,) = self.settle(PutEvent(clock_ms() + LATER_MS, EVENT, EVENT, event))
        assert isinstance(stored, Stored)

    def send(self, *commands: Command) -> None:
        """Send a frame, as a web process does."""
        body = encode(list(commands))
        self._lane.sendall(struct.pack("<I", len(body)) + body)

    def work(self) -> None:
        """Have the worker settle what was sent."""
        while not self._worker.run_once(LIMIT_SECONDS):
            pass

    @property
    def answered(self) -> bool:
        """Whether a byte of an answer has left the worker."""
        return bool(select.select([self._lane], [], [], 0)[0])

    def outcomes(self) -> list[Outcome]:
        """Read the answer to a frame."""
        data = self._lane.recv(1 << 20)
        (length,) = struct.unpack_from("<I", data)
        while len(data) < 4 + length:
            data += self._lane.recv(1 << 20)
        return decode_outcomes(data[4:])

    def settle(self, *commands: Command) -> list[Outcome]:
        """Send a frame, have it settled, and return what became of it."""
        self.send(*commands)
        self.work()
        return self.outcomes()

    def close(self) -> None:
        """Leave the worker, the lane and the ledger."""
        self._lane.close()
        self._inbox.close()
        self._ledger.close()


class _ToldInbox(UnixInbox):
    """Says what is about to be answered."""

    def __init__(self, run_dir: Path, on_answer: Callable[[list[Outcome]], None]) -> None:
        super().__init__(run_dir, 1)
        self._on_answer = on_answer

    def answer(self, outcomes: list[Outcome]) -> None:
        self._on_answer(outcomes)
        super().answer(outcomes)


@contextmanager
def open_counter(
    folder: Path, on_answer: Callable[[list[Outcome]], None] = lambda _outcomes: None
) -> Iterator[Counter]:
    """Open a counter for the length of a `with` block."""
    counter = Counter(folder, on_answer)
    try:
        yield counter
    finally:
        counter.close()


def look(ledger_path: Path, order_ids: list[str]) -> tuple[Audit, int]:
    """Audit a ledger, which must be consistent; count which of these orders it has, too."""
    reader = SqliteReader(ledger_path)
    try:
        found = audit(reader, EVENT, pause=lambda: None)
        assert found is not None
        assert found.consistent, found.findings
        return found, sum(reader.order(order_id) is not None for order_id in order_ids)
    finally:
        reader.close()


def _now() -> Now:
    return Now(wall_ms=wall_ms(), clock_ms=clock_ms())
