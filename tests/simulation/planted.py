"""Bugs that are planted, one at a time, to show that the simulation finds them.

Each is the product's own source with a few words changed, while it lasts.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha1
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal, NamedTuple

from tests.simulation import stand_ins
from tests.simulation.scheduler import sim
from workers import locks, one_host, rules, worker
from workers.handoffs import redis_stream
from workers.ledgers import redis as redis_ledger
from workers.ledgers import sqlite, touched
from workers.shards import turn
from workers.shards.link import Script

Ledger = Literal["sqlite", "model"]


class Plant(NamedTuple):
    """One bug: what it is, the ledger whose simulation must find it, and how it is planted."""

    name: str
    ledger: Ledger
    changes: list[Callable[[ExitStack], None]]


def source(
    owner: Any, name: str, *pairs: tuple[str, str], also: Sequence[Any] = ()
) -> Callable[[ExitStack], None]:
    """Change words of a function's source; `also`: modules that have imported it."""

    def change(stack: ExitStack) -> None:
        function = inspect.unwrap(getattr(owner, name))
        text = textwrap.dedent(inspect.getsource(function))
        for old, new in pairs:
            if text.count(old) != 1:
                raise AssertionError(f"{name} has changed: {text.count(old)} times {old!r}")
            text = text.replace(old, new)
        space = vars(sys.modules[function.__module__])
        made: dict[str, Any] = {}
        exec(compile(text, f"<planted in {name}>", "exec"), space, made)  # noqa: S102
        for place in (owner, *also):
            value(place, name, made[name])(stack)

    return change


def script(name: str, old: str, new: str) -> Callable[[ExitStack], None]:
    """Change words of a script that a turn runs."""

    def change(stack: ExitStack) -> None:
        changed = Script(name.strip("_").lower())
        if changed.text.count(old) != 1:
            raise AssertionError(f"{name} has changed: {changed.text.count(old)} times {old!r}")
        changed.text = changed.text.replace(old, new)
        changed.sha = sha1(changed.text.encode(), usedforsecurity=False).hexdigest()
        value(turn, name, changed)(stack)

    return change


def value(owner: Any, name: str, new: Any) -> Callable[[ExitStack], None]:
    """Replace a name."""

    def change(stack: ExitStack) -> None:
        stack.callback(setattr, owner, name, vars(owner)[name])
        setattr(owner, name, new)

    return change


def lets_two_in(self: stand_ins.Semaphore, block: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002
    """Be a lock that is sometimes taken although another one has it."""
    if sim().chance(0.3):
        sim().point("has the lock, as others have")
        return True
    return _acquire(self, block, timeout)


_acquire = stand_ins.Semaphore.acquire
BROKEN_LOCK: Final = [
    value(stand_ins.Semaphore, "acquire", lets_two_in),
    value(stand_ins, "FENCED_IS_A_BUG", False),
]
BEFORE_COMMIT: Final = source(
    worker.Worker,
    "_settle_under_lock",
    (
        "    self.ledger.commit(settlement, token)\n    return",
        "    self.inbox.answer(settlement.outcomes)\n"
        "    self.ledger.commit(settlement, token)\n    return",
    ),
)
NO_ORDERS: Final = source(
    touched, "named", ("orders.add(command.id)\n                events.add(command.event)", "events.add(command.event)"), also=[sqlite]
)
COMMIT_AGAIN: Final = """    else:
        try:
            turn.commit(token, keys, writes, bodies)
        except LedgerFault:
            while not turn.take(0, 0.05, anyway=True):
                pass
            turn.commit(turn.token, keys, writes, [])"""

PLANTS: Final = [
    Plant("answers before it commits", "sqlite", [BEFORE_COMMIT]),
    Plant("does not sync its commits", "sqlite", [source(sqlite.SqliteLedger, "__init__", ("= FULL", "= OFF"))]),
    Plant(
        "does not sync what it recovered",
        "sqlite",
        [source(sqlite.SqliteLedger, "_sync_what_was_recovered", ("self._connection.wal", "None and self._connection.wal"))],
    ),
    Plant(
        "does not look whether it has a WAL",
        "sqlite",
        [value(sqlite, "use_wal", lambda connection, path: connection.execute("PRAGMA journal_mode = WAL") and None)],
    ),
    Plant(
        "takes no lock",
        "sqlite",
        [source(locks.HeldProcessLock, "__enter__", ("while not", "while False and not"))],
    ),
    Plant(
        "compares no fencing token, under a lock that lets two in",
        "sqlite",
        [
            *BROKEN_LOCK,
            source(sqlite.SqliteLedger, "_raise_fence", (" WHERE fence < ?\", (token, token)", "\", (token,)")),
        ],
    ),
    Plant(
        "numbers its journal wrongly",
        "sqlite",
        [source(rules, "_buy", ("event.entries += 1", "event.entries += 1 + (event.entries == 3)"))],
    ),
    Plant(
        "refuses for the deadline before it looks for the order",
        "sqlite",
        [source(rules, "_buy", ("    known = state", "    if now.clock_ms > purchase.deadline_ms:\n        return TooLate()\n    known = state"))],
    ),
    Plant(
        "looks at no deadline in the transaction",
        "sqlite",
        [source(rules, "_buy", ("now.clock_ms > purchase.deadline_ms", "False"))],
    ),
    Plant(
        "stores the order in a transaction of its own",
        "sqlite",
        [
            source(
                sqlite.SqliteLedger,
                "commit",
                ("        self._write_orders(settlement)\n", ""),
                (
                    'execute("COMMIT")\n',
                    'execute("COMMIT")\n'
                    '        self._connection.execute("BEGIN IMMEDIATE")\n'
                    "        self._write_orders(settlement)\n"
                    '        self._connection.execute("COMMIT")\n',
                ),
            )
        ],
    ),
    Plant("does not look for orders under the same keys", "sqlite", [NO_ORDERS]),
    Plant(
        "believes that the dead give their lock back",
        "sqlite",
        [value(one_host.OneHost, "free_lock_of", lambda self, dead: True)],  # noqa: ARG005
    ),
    Plant(
        "sells one ticket too many",
        "model",
        [
            source(rules, "_buy", ("wanted_quantity > ticket_type.remaining", "wanted_quantity > ticket_type.remaining + 1")),
            value(rules, "_check_conserved", lambda settlement, sold_before: None),  # noqa: ARG005
        ],
    ),
    Plant("answers before it commits, on Redis", "model", [BEFORE_COMMIT]),
    Plant(
        "compares no fencing token, on Redis",
        "model",
        [script("_COMMIT", "if tonumber(known[2] or 0) > token or tonumber(known[3] or 0) >= token then return { 'fenced' } end", "")],
    ),
    Plant(
        "takes frames off the stream when it reads them",
        "model",
        [script("_TAKE", "  return taken\nend", "  if #taken > 0 then\n    local time, sequence = string.match(taken[#taken][1], '(%d+)-(%d+)')\n    redis.call('XTRIM', commands, 'MINID', string.format('%s-%d', time, sequence + 1))\n  end\n  return taken\nend")],
    ),
    Plant(
        "takes an old answer for a newer one",
        "model",
        [
            source(redis_stream.RedisLane, "_exchange", ("if number == self._number:", "if number:")),
            source(redis_stream.RedisLane, "connect", ('self._name, self._seen = uuid.uuid4().hex, "0-0"', "self._name = self._name or uuid.uuid4().hex")),
        ],
    ),
    Plant(
        "commits a turn however old it is",
        "model",
        [script("_COMMIT", "if now_ms() > tonumber(ARGV[3]) then return { 'late' } end", "")],
    ),
    Plant(
        "commits again after a fault, as a new batch",
        "model",
        [source(redis_ledger.RedisLedger, "commit", ("    else:\n        turn.commit(token, keys, writes, bodies)", COMMIT_AGAIN))],
    ),
    Plant(
        "gives the answers to the wrong frames",
        "model",
        [source(turn.Turn, "bodies", ("return found", "return found[::-1]"))],
    ),
]


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """Have the product carry a bug."""
    with ExitStack() as stack:
        for change in plant.changes:
            change(stack)
        yield

