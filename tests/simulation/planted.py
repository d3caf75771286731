"""The bugs that are planted, one at a time, to show that the simulation finds them."""

from __future__ import annotations

from typing import Final

import apsw

from service import stores
from tests.simulation import stand_ins
from tests.simulation.planting import Plant, script, source, value
from tests.simulation.scheduler import sim
from workers import locks, one_host, rules, worker
from workers.handoffs import redis_stream
from workers.ledgers import redis as redis_ledger
from workers.ledgers import sqlite, touched
from workers.shards import link, memory, turn

ANSWERS_FIRST: Final = source(
    worker.Worker,
    "_settle_under_lock",
    "    began = clock_us()\n",
    """    self.inbox.answer(settlement.outcomes)
    began = clock_us()
""",
)
DEADLINE_FIRST: Final = """    if now.clock_ms > purchase.deadline_ms:
        return TooLate()
    known = state"""
COMMITS: Final = 'self._connection.execute("COMMIT")\n'
ORDERS_LATER: Final = """self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        self.write_orders(settlement)
        self._connection.execute("COMMIT")
"""
NAMES_IT: Final = "orders.add(command.id)\n                events.add("
COMMITS_AGAIN: Final = """        try:
            turn.commit(token, keys, writes, bodies)
        except LedgerFault:
            while not turn.take(0, 0.05, anyway=True):
                pass
            turn.commit(turn.token, keys, writes, [])"""
FENCED: Final = (
    "if tonumber(known[2] or 0) > token or tonumber(known[3] or 0) >= token"
    " then return { 'fenced' } end"
)
TAKES_OFF: Final = """  if #taken > 0 then
    local time, sequence = string.match(taken[#taken][1], '(%d+)-(%d+)')
    redis.call('XTRIM', commands, 'MINID', string.format('%s-%d', time, sequence + 1))
  end
  return taken
end"""


def lets_two_in(
    semaphore: stand_ins.Semaphore, block: bool = True, timeout: float | None = None
) -> bool:
    """Be a lock that sometimes lets somebody in although another one has it.

    Not before there is a ledger: making it needs the lock, as its class says.
    """
    if sim().committed and sim().chance(0.8):
        sim().point("has the lock, as others have")
        return True
    return _acquire(semaphore, block, timeout)


def dawdles(lock: locks.ProcessLock) -> int:
    """Take a token, and sometimes a rest before anything is done with it."""
    token = _next_token(lock)
    if sim().chance(0.5):
        sim().sleep(0.3)
    return token


def asks_for_a_wal(connection: apsw.Connection, path: object) -> None:
    """Do not look at what came of it."""
    connection.execute("PRAGMA journal_mode = WAL")


_acquire = stand_ins.Semaphore.acquire
_next_token = locks.ProcessLock.next_token
BROKEN_LOCK: Final = [
    value(stand_ins.Semaphore, "acquire", lets_two_in),
    value(locks.ProcessLock, "next_token", dawdles),
    value(stand_ins, "FENCED_IS_A_BUG", False),
]

PLANTS: Final = [
    Plant("answers before it commits", "sqlite", [ANSWERS_FIRST]),
    Plant(
        "does not sync its commits",
        "sqlite",
        [source(sqlite.SqliteLedger, "_open", "synchronous = FULL", "synchronous = OFF")],
    ),
    Plant(
        "does not sync what it recovered",
        "sqlite",
        [value(sqlite.SqliteLedger, "_sync_what_was_recovered", stand_ins.nothing)],
    ),
    Plant(
        "does not look whether it has a WAL", "sqlite", [value(sqlite, "use_wal", asks_for_a_wal)]
    ),
    Plant(
        "takes no lock",
        "sqlite",
        [source(locks.HeldProcessLock, "__enter__", "while not", "while False and not")],
    ),
    Plant(
        "compares no fencing token, and the lock lets two in",
        "sqlite",
        [*BROKEN_LOCK, value(sqlite.SqliteLedger, "_check_fence", stand_ins.nothing)],
    ),
    Plant(
        "leaves a number of its journal out",
        "sqlite",
        [source(rules, "_buy", "event.entries += 1", "event.entries += 1 + (event.entries == 3)")],
    ),
    Plant(
        "looks at the deadline before it looks for the order",
        "sqlite",
        [source(rules, "_buy", "    known = state", DEADLINE_FIRST)],
    ),
    Plant(
        "does not look at the deadline in the transaction",
        "sqlite",
        [source(rules, "_buy", "now.clock_ms > purchase.deadline_ms", "False")],
    ),
    Plant(
        "stores the order in a transaction of its own",
        "sqlite",
        [
            value(sqlite.SqliteLedger, "write_orders", sqlite.SqliteLedger._write_orders),
            value(sqlite.SqliteLedger, "_write_orders", stand_ins.nothing),
            source(
                sqlite.SqliteLedger, "commit", 'self._connection.execute("COMMIT")\n', ORDERS_LATER
            ),
        ],
    ),
    Plant(
        "does not look for orders under the same keys",
        "sqlite",
        [
            source(
                touched,
                "named",
                "orders.add(command.id)\n                events",
                "events",
                [sqlite],
            )
        ],
    ),
    Plant(
        "believes that the dead have given their lock back",
        "sqlite",
        [value(one_host.OneHost, "free_lock_of", lambda host, dead: True)],  # noqa: ARG005
    ),
    Plant(
        "sells one ticket too many, and does not count after itself",
        "model",
        [
            source(
                rules,
                "_buy",
                "quantity > ticket_type.remaining",
                "quantity > ticket_type.remaining + 1",
            ),
            value(rules, "_check_conserved", stand_ins.nothing),
        ],
    ),
    Plant("answers before it commits, to Redis", "model", [ANSWERS_FIRST]),
    Plant("compares no fencing token, in Redis", "model", [script("_COMMIT", FENCED, "")]),
    Plant(
        "takes frames off the stream when it reads them",
        "model",
        [script("_TAKE", "  return taken\nend", TAKES_OFF)],
    ),
    Plant(
        "takes an old answer for a newer one, under the same name",
        "model",
        [
            source(redis_stream.RedisLane, "_exchange", "if number == self._number:", "if number:"),
            source(
                redis_stream.RedisLane,
                "connect",
                'self._name, self._seen = uuid.uuid4().hex, "0-0"',
                "self._name = self._name or uuid.uuid4().hex",
            ),
        ],
    ),
    Plant(
        "writes a batch again after a fault, without reading anew",
        "model",
        [
            source(
                redis_ledger.RedisLedger,
                "commit",
                "        turn.commit(token, keys, writes, bodies)",
                COMMITS_AGAIN,
            )
        ],
    ),
    Plant(
        "gives the answers to the wrong frames",
        "model",
        [source(turn.Turn, "bodies", "return found", "return found[::-1]")],
    ),
    Plant(
        "takes an empty Redis for a new one",
        "model",
        [
            source(
                memory.Memory,
                "check_ledger",
                "if self.ledger_id:\n            what",
                "if False:\n            what",
            )
        ],
    ),
    Plant(
        "knows an older Redis by its batches' numbers alone",
        "model",
        [script("_EPOCH", "'HSET', KEYS[1], 'epoch'", "'HSETNX', KEYS[1], 'epoch'")],
    ),
    Plant(
        "looks at Redis only if it is asked for something",
        "model",
        [source(stores, "_look_at", "reader.look(shard)", "pass")],
    ),
    Plant(
        "remembers what a server knew that is gone",
        "model",
        [source(link.Link, "close", "    self._known.clear()\n", "")],
    ),
]
