-- The embedded ledger, schema version 1. Times are milliseconds since 1970, money is minor units.
-- An event is known by its number here; an order by its event and the journal entry that sold it,
-- so rows arrive in the order of their keys. Only `orders.id` is looked up at random.

CREATE TABLE ledger (
    id            TEXT NOT NULL,
    secret        BLOB NOT NULL,          -- order ids are made from idempotency keys with it
    created_at_ms INTEGER NOT NULL,
    fence         INTEGER NOT NULL        -- newest fencing token that committed
) STRICT;

CREATE TABLE events (
    event         INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    opens_at_ms   INTEGER,
    closes_at_ms  INTEGER,
    max_per_order INTEGER,
    max_per_buyer INTEGER,
    switch        TEXT NOT NULL CHECK (switch IN ('open', 'paused', 'closed')),
    next_number   INTEGER NOT NULL,
    entries       INTEGER NOT NULL
) STRICT;

CREATE TABLE ticket_types (
    event     INTEGER NOT NULL REFERENCES events,
    position  INTEGER NOT NULL,           -- in the order in which the event names them
    id        TEXT NOT NULL,
    capacity  INTEGER NOT NULL,
    amount    INTEGER NOT NULL,
    currency  TEXT NOT NULL,
    sold      INTEGER NOT NULL CHECK (sold >= 0),
    held      INTEGER NOT NULL CHECK (held >= 0),
    remaining INTEGER NOT NULL CHECK (remaining >= 0),
    PRIMARY KEY (event, position),
    UNIQUE (event, id),
    CHECK (capacity = sold + held + remaining)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    event           INTEGER NOT NULL REFERENCES events,
    entry           INTEGER NOT NULL,
    id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    fingerprint     BLOB NOT NULL,
    buyer           TEXT,
    items           TEXT NOT NULL,        -- [["standing",2],…]
    first_number    INTEGER NOT NULL,
    amount          INTEGER NOT NULL,
    currency        TEXT NOT NULL,
    sold_at_ms      INTEGER NOT NULL,
    cancelled_entry INTEGER,
    PRIMARY KEY (event, entry)
) STRICT, WITHOUT ROWID;

-- The last wall against a number that is given twice. A cancelled order keeps its numbers.
CREATE TABLE tickets (
    event  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    entry  INTEGER NOT NULL,
    PRIMARY KEY (event, number)
) STRICT, WITHOUT ROWID;

-- Tickets each buyer has, for events that limit them; derived from `orders`.
CREATE TABLE bought (
    event    INTEGER NOT NULL,
    buyer    TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (event, buyer)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    event INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    fact  TEXT NOT NULL,                  -- JSON, by its "kind"
    PRIMARY KEY (event, entry)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER journal_is_never_altered BEFORE UPDATE ON journal
BEGIN SELECT raise(ABORT, 'a journal entry is never altered'); END;

CREATE TRIGGER journal_is_never_shortened BEFORE DELETE ON journal
BEGIN SELECT raise(ABORT, 'a journal entry is never deleted'); END;
