"""What this host has seen of the ledger, so that nothing is sold from a Redis that came back empty.

Kept in the process, and in small files of the data directory for those that start later.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from workers.errors import LedgerLost
from workers.hearts import clock_ms

log = logging.getLogger(__name__)

WRITE_EVERY_MS: Final = 1_000
_MARK: Final = re.compile(r"(\d+)(?: (\w*))?", re.ASCII)


class Mark(NamedTuple):
    """The newest batch that changed a shard: its token, and the epoch in which it was committed.

    An epoch is one run of one server with the ledger, from a start to the next or to a failover
    (`epoch.lua`). Tokens alone would not do: a ledger that came back older counts on from there.
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


class Memory:
    """The ledger's id, and how far each shard has come. `folder` None: not kept.

    What counts is the newest batch whose sales were confirmed: a replica that is promoted may lack
    what nobody was told.
    """

    def __init__(self, folder: Path | None, *, strict: bool = True) -> None:
        self.folder = folder
        self._strict = strict
        self._marks: dict[int, Mark] = {}
        self._written: dict[int, tuple[Mark, int]] = {}  # and when
        self.ledger_id = self._read("ledger") or ""

    def mark(self, shard: int) -> Mark:
        """Return the newest batch that was seen of a shard."""
        if shard not in self._marks:
            self._marks[shard] = self._read_mark(shard)
            self._written[shard] = self._marks[shard], clock_ms()
        return self._marks[shard]

    def asked(self, mark: Mark) -> str:
        """Return what a script shall look for; "" if an older ledger will do, too."""
        return str(mark) if self._strict else ""

    def learn(self, shard: int, found: Mark, looked_for: Mark) -> Mark:
        """Remember what was found of a shard, where `looked_for` was not missing; return the newer.

        A mark of another epoch takes the place of the known one only if that was looked for:
        replies may be read in another order than they came, and another process of this host may
        have written down more.
        """
        known = self.mark(shard)
        if found.epoch == known.epoch:
            self._marks[shard] = max(known, found)
        elif found.epoch and known == looked_for:
            kept = self._read_mark(shard)
            unchecked = kept.epoch == known.epoch and kept.token > known.token
            self._marks[shard] = kept if unchecked else found
        self._keep(shard)
        return found if self._marks[shard] == found else looked_for

    def lost(self, shard: int, committed: int) -> LedgerLost:
        """Return what to raise for a shard that is behind what was seen of it."""
        return LedgerLost(
            f"Redis came back older: shard {shard} is at batch {committed}, but more were seen;"
            f" restore it{self._or_forget()}"
        )

    def check_ledger(self, ledger_id: str) -> None:
        """Take an id, "" for none, for our ledger's, or raise LedgerLost."""
        if not self.ledger_id:  # another process of this host may have seen it meanwhile
            self.ledger_id = self._read("ledger") or ""
        if ledger_id != self.ledger_id:
            if self.ledger_id:
                what = f"holds another ledger, {ledger_id}" if ledger_id else "came back empty"
                raise LedgerLost(
                    f"Redis {what}, instead of {self.ledger_id}; restore it{self._or_forget()}"
                )
            self.ledger_id = ledger_id
            self._write("ledger", ledger_id)

    def flush(self) -> None:
        """Write what is not written yet."""
        for shard in self._marks:
            self._keep(shard, at_once=True)

    def _keep(self, shard: int, *, at_once: bool = False) -> None:
        mark, (written, when_ms) = self.mark(shard), self._written[shard]
        if mark != written and (at_once or clock_ms() - when_ms >= WRITE_EVERY_MS):
            self._written[shard] = mark, clock_ms()
            others = self._read_mark(shard)  # of this host write the same file
            if mark.epoch != others.epoch or mark.token > others.token:
                self._write(f"shard-{shard:02}", str(mark))

    def _read_mark(self, shard: int) -> Mark:
        try:
            return Mark.read(self._read(f"shard-{shard:02}") or "0")
        except ValueError:
            return Mark()

    def _or_forget(self) -> str:
        return ", or accept it as docs/many-hosts.md says"

    def _read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text().strip() if self.folder else None
        except FileNotFoundError:
            return None

    def _write(self, name: str, text: str) -> None:
        """Write a small file, whole or not at all; what the process knows does not depend on it."""
        if self.folder is None:
            return
        draft = self.folder / f"{name}.{os.getpid()}"
        try:
            self.folder.mkdir(exist_ok=True)
            draft.write_text(text + "\n")
            draft.replace(self.folder / name)
        except OSError as error:
            log.warning("cannot remember the ledger in %s: %s", self.folder, error)
