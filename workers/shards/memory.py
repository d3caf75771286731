"""What this process has seen of the ledger: nothing is sold from a Redis that lacks any of it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from workers.errors import LedgerLost
from workers.hearts import clock_ms
from workers.shards.notes import Notes

log = logging.getLogger(__name__)

WRITE_EVERY_MS: Final = 1_000
FLUSH_MS: Final = 200
RESTORE: Final = "restore it, or accept it as docs/many-hosts.md says"
_MARK: Final = re.compile(r"(\d+)(?: ([0-9A-Za-z]*))?", re.ASCII)


class Mark(NamedTuple):
    """A batch that changed a shard: its token, and the epoch in which it was committed.

    Each connection of a worker begins an epoch (`epoch.lua`). Tokens alone would not do: a ledger
    that came back older counts on from there.
    """

    token: int = 0
    epoch: str = ""

    @classmethod
    def read(cls, text: bytes | str) -> Mark:
        """Read what `str` or a script wrote. Raises ValueError."""
        found = _MARK.fullmatch(text.decode() if isinstance(text, bytes) else text)
        if found is None:
            raise ValueError(f"no mark: {text!r}")
        return cls(int(found[1]), found[2] or "")

    def __str__(self) -> str:
        return f"{self.token} {self.epoch}"


Marks: TypeAlias = tuple[Mark, ...]  # the newest batch that was seen of some epochs, oldest first


class Memory:
    """The ledger's id, and the newest confirmed batch of each shard.

    Of two it may not be known, for a moment, whether Redis has both: then both are remembered. What
    is not confirmed does not count: a replica that is promoted may lack it.
    """

    def __init__(self, notes: Notes, *, strict: bool = True) -> None:
        self._notes = notes
        self._strict = strict
        self._marks: dict[int, Marks] = {}
        self._past: dict[int, Marks] = {}  # found, and of other epochs than the newest: not needed
        self._written: dict[int, Marks] = {}
        self._tried_ms: dict[int, int] = {}  # to write them
        self.ledger_id = notes.read("ledger") or ""

    def marks(self, shard: int) -> Marks:
        """Return the batches that must be there, whenever something is asked of a shard."""
        if shard not in self._marks:
            self._marks[shard] = self._written[shard] = self._read_marks(shard) or ()
            self._tried_ms[shard] = clock_ms()
        return self._marks[shard]

    def wanted(self, marks: Marks) -> str:
        """Write what a script shall look for; "" if an older ledger will do, too."""
        return ",".join(map(str, marks or (Mark(),))) if self._strict else ""

    def learn(self, shard: int, found: Mark, looked_for: Marks) -> None:
        """Remember a batch that is there, as is all that was looked for in the same step.

        One history has them all, so the newest stands for them. What others have come to know
        meanwhile stays, and is looked for the next time.
        """
        if not found.epoch:  # written by a version that knew none, perhaps long after the last
            found = Mark()
        newest = max((found, *looked_for))
        others = [mark for mark in self.marks(shard) if mark not in looked_for]
        past = [mark for mark in looked_for if mark.epoch != newest.epoch]
        if past:
            self._past[shard] = _newest_of_each((*self._past.get(shard, ()), *past))
        self._marks[shard] = _newest_of_each((*others, newest))
        if clock_ms() - self._tried_ms[shard] >= WRITE_EVERY_MS:
            self._merge(shard)

    def lost(self, shard: int, token: int) -> LedgerLost:
        """Return what to raise for a batch that is missing."""
        return LedgerLost(
            f"Redis came back older: batch {token} of shard {shard} is missing; {RESTORE}"
        )

    def check_ledger(self, ledger_id: str) -> None:
        """Take an id, "" for none, for our ledger's, or raise LedgerLost."""
        if not self.ledger_id:  # another process of this host may have seen it meanwhile
            self.ledger_id = self._notes.read("ledger") or ""
        if ledger_id != self.ledger_id:
            if self.ledger_id:
                what = f"holds another ledger, {ledger_id}" if ledger_id else "came back empty"
                raise LedgerLost(f"Redis {what}, instead of {self.ledger_id}; {RESTORE}")
            self.ledger_id = ledger_id
            self._notes.write("ledger", ledger_id)

    def flush(self) -> None:
        """Write what is not written yet, also if others of this host do so at the same moment."""
        limit_ms = clock_ms() + FLUSH_MS
        for shard in self._marks:
            while not self._merge(shard) and clock_ms() < limit_ms:
                time.sleep(0.005)

    def _merge(self, shard: int) -> bool:
        """Write what must be there, and take over what others have written; say if that is done."""
        if self._marks[shard] == self._written[shard]:
            return True
        self._tried_ms[shard] = clock_ms()
        with self._notes.alone() as alone:
            there = self._read_marks(shard) if alone else None
            if there is None:
                return False
            past = {mark.epoch: mark.token for mark in self._past.get(shard, ())}
            others = [mark for mark in there if mark.token > past.get(mark.epoch, 0)]
            self._marks[shard] = marks = _newest_of_each((*self._marks[shard], *others))
            if not self._notes.write(_name(shard), "\n".join(map(str, marks))):
                return False
        self._written[shard] = marks
        self._past.pop(shard, None)
        return True

    def _read_marks(self, shard: int) -> Marks | None:
        text = self._notes.read(_name(shard))
        return None if text is None else _newest_of_each(_read_lines(_name(shard), text))


def _name(shard: int) -> str:
    return f"shard-{shard:02}"


def _read_lines(name: str, text: str) -> Iterator[Mark]:
    for line in text.splitlines():
        try:
            yield Mark.read(line)
        except ValueError as error:
            log.warning("a line of %s says nothing: %s", name, error)


def _newest_of_each(marks: Iterable[Mark]) -> Marks:
    """Return the newest mark of each epoch, oldest first."""
    newest = {mark.epoch: mark for mark in sorted(marks) if mark.token}
    return tuple(sorted(newest.values()))
