"""A ledger file that was damaged: what is seen of it, and whether anything wrong is sold from it.

`History` makes a small ledger and knows all that is true of it. `try_out` opens what became of its
files as a worker and a web process do, asks for all orders again, buys all that is left, and says
how the damage was met. A wrong answer, a wrong sale or an unknown exception fails.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal, TypeAlias
from uuid import UUID

from tests.harness import note
from tests.unit.builders import NOW, buy, cancel, gala, order_id, put
from workers.audit import audit
from workers.domain import (
    Cancelled,
    Command,
    Event,
    Order,
    Outcome,
    Purchase,
    Sold,
    SoldOut,
    TicketType,
)
from workers.errors import BootFailed, Inconsistent, LedgerFault
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.rules import settle

FAULTS: Final = (BootFailed, LedgerFault, Inconsistent)  # each ends in a refusal that is told
CAPACITY: Final = 400
LONG_SECONDS: Final = 60.0
SOLD: Final = 150  # orders: enough for each large table and index to have several pages
NAME: Final = "ledger.db"
FILES: Final = (NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-seen")

Met: TypeAlias = Literal["at the start", "at a touch", "harmless"]
Damage: TypeAlias = Callable[[Path], object]


class History:
    """A ledger that has sold for two days, and all that is true of it.

    `kept`: its files, by name; `yesterday`: the ledger's file after the first day. `crashed`: what
    was sold on the second day is in the log alone.
    """

    def __init__(self, folder: Path, *, crashed: bool = False, seed: int = 0) -> None:
        folder.mkdir()
        self.path = folder / NAME
        self.keys = [_key(seed, number) for number in range(SOLD)]
        self.orders: dict[str, Order] = {}
        self._token = 0
        ledger = SqliteLedger(self.path)
        events = gala(CAPACITY), Event("opera", "Opera", [TicketType("box", 9)], max_per_buyer=2)
        self.write(ledger, *map(put, events))
        self._sell(ledger, self.keys[: SOLD // 2])
        ledger.close()
        self.yesterday = self.path.read_bytes()

        ledger = SqliteLedger(self.path)
        self._sell(ledger, self.keys[SOLD // 2 :])
        self.write(ledger, buy(_key(seed, SOLD), 2, event="opera", buyer="ann"))
        (outcome,) = self.write(ledger, cancel(self.keys[3]))
        assert isinstance(outcome, Cancelled)
        self.orders[outcome.order.id] = outcome.order
        self.events = {event.id: event for event in _events(self.path)}
        if not crashed:
            ledger.close()
        self.kept = {
            name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()
        }
        if crashed:
            ledger.close()

    def _sell(self, ledger: SqliteLedger, keys: list[int]) -> None:
        for start in range(0, len(keys), 15):
            for outcome in self.write(ledger, *map(_wish, keys[start : start + 15])):
                assert isinstance(outcome, Sold), outcome
                self.orders[outcome.order.id] = outcome.order

    def write(self, ledger: SqliteLedger, *commands: Command) -> list[Outcome]:
        """Settle a batch as a worker does."""
        self._token += 1
        settlement = settle(ledger.load(list(commands)), list(commands), NOW)
        ledger.commit(settlement, self._token)
        return settlement.outcomes

    def put_down(self, folder: Path) -> Path:
        """Write the files as they were, in an empty folder; return the ledger's path."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in self.kept.items():
            (folder / name).write_bytes(content)
        return folder / NAME


def _wish(key: int) -> Purchase:
    return buy(key, 1 + key % 2, buyer=f"buyer-{key % 7}")


def _key(seed: int, number: int) -> int:
    """Spread keys over the index as hashes would."""
    return UUID(int=((seed * 100_000 + number) * 0x9E3779B97F4A7C15_F39CC0605CEDC835) % 2**128).int


def _events(path: Path) -> list[Event]:
    reader = SqliteReader(path)
    try:
        return reader.events()
    finally:
        reader.close()


def try_out(history: History, path: Path, *, first: bool = True) -> Met:
    """Do with a ledger what a service does; say how its damage was met.

    `first`: what its first worker does, who looks through it.
    """
    try:
        ledger = SqliteLedger(path)
    except FAULTS as fault:
        _check_told(fault)
        return "at the start"
    try:
        if first:
            assert ledger.look_through(LONG_SECONDS)
        token = max(ledger.last_token(), 1_000)
    except FAULTS as fault:
        _check_told(fault)
        ledger.close()
        return "at the start"
    trial = _Trial(history, ledger, token)
    try:
        trial.ask_again()
        trial.buy_all()
        trial.look(path)
    finally:
        ledger.close()
    return "at a touch" if trial.faults else "harmless"


class _Trial:
    """One worker and one reader at a ledger that may be damaged."""

    def __init__(self, history: History, ledger: SqliteLedger, token: int) -> None:
        self._history = history
        self._ledger = ledger
        self._token = token
        self._numbers = [n for order in history.orders.values() for n in order.numbers()]
        self._known = dict(history.orders)
        self._sold = history.events["gala"].ticket_types[0].sold
        self.faults: list[str] = []

    def ask_again(self) -> None:
        """Every order is replayed as it was, or nobody is told anything."""
        for key in self._history.keys:
            for outcome in self._settle(_wish(key)):
                assert isinstance(outcome, Sold), f"{outcome} for an order that was sold"
                assert outcome.replayed, f"sold again: {outcome.order}"
                assert outcome.order == self._history.orders[order_id(key)], "another order"

    def buy_all(self) -> None:
        """What is sold now is no more than was left, and has numbers of its own."""
        for number in range(1, CAPACITY):
            for outcome in self._settle(buy(_key(999, number), 7)):
                if isinstance(outcome, SoldOut):
                    assert CAPACITY - self._sold < 7, "sold out too early"
                    return
                assert isinstance(outcome, Sold), outcome
                assert not outcome.replayed, "replayed, though it is new"
                self._numbers += outcome.order.numbers()
                self._known[outcome.order.id] = outcome.order
                self._sold += outcome.order.quantity
                assert self._sold <= CAPACITY, "oversold"
            if len(self.faults) > 3:
                return
        assert len(set(self._numbers)) == len(self._numbers), "a number was given twice"

    def look(self, path: Path) -> None:
        """Whoever looks sees what is so, or is told of the damage."""
        try:
            reader = SqliteReader(path)
        except FAULTS as fault:
            self._note(fault)
            return
        try:
            self._look(reader)
        finally:
            reader.close()

    def _look(self, reader: SqliteReader) -> None:
        wrong = []
        try:
            found = audit(reader, "gala", pause=lambda: None)
            consistent = found is not None and found.consistent
        except FAULTS as fault:
            self._note(fault)
            consistent = False
        for known in self._known.values():
            try:
                if reader.order(known.id) != known:
                    wrong.append(known.id)
            except FAULTS as fault:
                self._note(fault)
        try:
            events = {event.id: event for event in reader.events()}
            if events["opera"] != self._history.events["opera"]:
                wrong.append("opera")
            if events["gala"].ticket_types[0].sold != self._sold:
                wrong.append("gala")
        except FAULTS as fault:
            self._note(fault)
        assert not (wrong and consistent), f"the audit does not see that {wrong[:3]} are wrong"
        if not consistent:
            self.faults.append("audit")

    def _settle(self, command: Command) -> list[Outcome]:
        """Settle one command; nothing if its batch fails."""
        self._token += 1
        try:
            settlement = settle(self._ledger.load([command]), [command], NOW)
            self._ledger.commit(settlement, self._token)
        except FAULTS as fault:
            self._note(fault)
            return []
        return settlement.outcomes

    def _note(self, fault: Exception) -> None:
        _check_told(fault)
        self.faults.append(str(fault))


def _check_told(fault: Exception) -> None:
    line = str(fault)
    assert line.isprintable(), repr(line)


def campaign(
    history: History, folder: Path, damages: Iterable[tuple[str, Damage]], *, first: bool = True
) -> Counter[Met]:
    """Try out many damages, each on a fresh copy; return how they were met."""
    found: Counter[Met] = Counter()
    for name, damage in damages:
        path = history.put_down(folder)
        damage(path)
        try:
            found[try_out(history, path, first=first)] += 1
        except BaseException:
            note(f"the damage: {name}")
            raise
    note(f"met: {dict(found)}")
    return found
