"""Flask and PostgreSQL by itself: a sale is one statement, and so one transaction and one trip.

A statement of its own for each step would hold the event's row lock for three trips more. psycopg
prepares it after its fifth use; its pool lends a connection to each request. The server is somebody
else's to start, with `synchronous_commit = on`.

    python -m loadtest.peers.postgres_alone --port 8006 --store-url postgresql:///postgres

Ends by its process id.
"""

from __future__ import annotations

import os
from typing import Final

import psycopg
from flask import Flask
from psycopg_pool import ConnectionPool, PoolTimeout

from loadtest.peers import box_office
from loadtest.peers.box_office import Faults, Reply, Sold, SoldOut, UnknownEvent

CONNECTIONS_MAX: Final = 32  # of a web process: one for each of its threads
PATIENCE_SECONDS: Final = 5.0
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    id text PRIMARY KEY, capacity integer NOT NULL, sold integer NOT NULL,
    remaining integer NOT NULL CHECK (remaining >= 0)
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS orders (
    number bigserial PRIMARY KEY, key text NOT NULL UNIQUE, first integer NOT NULL,
    content bytea NOT NULL
);
"""  # the fill factor leaves room beside an event's row, so that its updates stay on its page
SELL: Final = """
WITH taken AS (
    UPDATE events SET sold = sold + %(quantity)s, remaining = remaining - %(quantity)s
    WHERE id = %(event)s AND remaining >= %(quantity)s
    RETURNING sold - %(quantity)s + 1 AS first
)
INSERT INTO orders (key, first, content) SELECT %(key)s, first, %(order)s FROM taken RETURNING first
"""


class PostgresStock:
    """A pool of connections."""

    faults: Faults = (psycopg.OperationalError, PoolTimeout)

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool(
            url,
            min_size=4,
            max_size=CONNECTIONS_MAX,
            timeout=PATIENCE_SECONDS,
            kwargs={"autocommit": True},
        )

    def sell(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        """Sell by one statement; if it sells nothing, look why."""
        values = {"key": key, "event": event, "quantity": quantity, "order": order}
        with self._pool.connection() as connection:
            try:
                row = connection.execute(SELL, values).fetchone()
            except psycopg.errors.UniqueViolation:  # rolled back: nothing was taken
                row = None
            return Sold(row[0]) if row else _why_not(connection, key, event)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Read the counters."""
        with self._pool.connection() as connection:
            rows = connection.execute("SELECT id, capacity, sold FROM events").fetchall()
        return {event: (capacity, sold) for event, capacity, sold in rows}


def _why_not(connection: psycopg.Connection, key: str, event: str) -> Reply:
    find = "SELECT first, content FROM orders WHERE key = %s"
    if kept := connection.execute(find, (key,)).fetchone():
        return Sold(*kept)
    left = connection.execute("SELECT remaining FROM events WHERE id = %s", (event,)).fetchone()
    return SoldOut(left[0]) if left else UnknownEvent()


def create_app() -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    return box_office.create_app(PostgresStock(os.environ["PEER_STORE_URL"]))


def main() -> None:
    """Put the events on sale, unless they are already, and become gunicorn."""
    options = box_office.arguments("loadtest.peers.postgres_alone").parse_args()
    with psycopg.connect(options.store_url) as connection:
        connection.execute(SCHEMA)
        for event, capacity in box_office.on_sale(options).items():
            connection.execute(
                "INSERT INTO events VALUES (%s, %s, 0, %s) ON CONFLICT DO NOTHING",
                (event, capacity, capacity),
            )
    box_office.become_web("loadtest.peers.postgres_alone", options, *box_office.THREADS_FLAGS)


if __name__ == "__main__":
    main()
