"""Flask and SQLite by itself: each request is a transaction of its own, and so an fsync.

WAL, `synchronous = FULL`, `BEGIN IMMEDIATE`; the standard library's driver, which keeps statements.
Threads, since who waits for a thread's lock is woken, while who waits for SQLite's polls. Measured
with 64 connections: 860 sales a second with threads, 280 with sync processes, 370 with gevent.

    python -m loadtest.peers.sqlite_alone --port 8005 --store-url file.db

Ends by its process id.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import Final

from flask import Flask

from loadtest.peers import box_office
from loadtest.peers.box_office import Faults, Reply, Sold, SoldOut, UnknownEvent

BUSY_SECONDS: Final = 30.0  # SQLite itself polls, faster and faster, for its write lock
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, capacity INTEGER NOT NULL, sold INTEGER NOT NULL,
    CHECK (sold <= capacity)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, first INTEGER NOT NULL,
    content BLOB NOT NULL
);
"""


class SqliteStock:
    """A file, and a connection of each thread to it."""

    faults: Faults = (sqlite3.OperationalError,)

    def __init__(self, path: str) -> None:
        self._path = path
        self._of_thread = threading.local()
        # Who waits for a lock of the process is woken; who waits for SQLite's has to poll.
        self._one_writes = threading.Lock()

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = self._of_thread.connection = connect(self._path)
        return found

    def sell(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        """Sell in one transaction."""
        connection = self._connection()
        with self._one_writes:
            connection.execute("BEGIN IMMEDIATE")
            with connection:  # commits, or rolls back
                return _sell(connection, key, event, quantity, order)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Read the counters."""
        rows = self._connection().execute("SELECT id, capacity, sold FROM events")
        return {event: (capacity, sold) for event, capacity, sold in rows}


def _sell(
    connection: sqlite3.Connection, key: str, event: str, quantity: int, order: bytes
) -> Reply:
    find = "SELECT first, content FROM orders WHERE key = ?"
    if kept := connection.execute(find, (key,)).fetchone():
        return Sold(*kept)
    count = "SELECT capacity, sold FROM events WHERE id = ?"
    row = connection.execute(count, (event,)).fetchone()
    if row is None:
        return UnknownEvent()
    capacity, sold = row
    if quantity > capacity - sold:
        return SoldOut(capacity - sold)
    connection.execute("UPDATE events SET sold = sold + ? WHERE id = ?", (quantity, event))
    add = "INSERT INTO orders (key, first, content) VALUES (?, ?, ?)"
    connection.execute(add, (key, sold + 1, order))
    return Sold(sold + 1)


def connect(path: str) -> sqlite3.Connection:
    """Return a connection whose commits are on disk."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def create_app() -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    return box_office.create_app(SqliteStock(os.environ["PEER_STORE_URL"]))


def main() -> None:
    """Put the events on sale, unless they are already, and become gunicorn."""
    options = box_office.arguments("loadtest.peers.sqlite_alone").parse_args()
    connection = connect(options.store_url)
    connection.executescript(SCHEMA)
    connection.executemany(
        "INSERT OR IGNORE INTO events VALUES (?, ?, 0)", box_office.on_sale(options).items()
    )
    connection.close()
    box_office.become_web("loadtest.peers.sqlite_alone", options, *box_office.THREADS_FLAGS)


if __name__ == "__main__":
    main()
