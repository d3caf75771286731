"""What this host has seen of the ledger, so that nothing is sold from a Redis that came back empty.

Kept in the process, and in small files of the data directory for those that start later.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from workers.errors import LedgerLost
from workers.hearts import clock_ms

log = logging.getLogger(__name__)

WRITE_EVERY_MS: Final = 1_000


class Memory:
    """The ledger's id, and how far each shard has come. `folder` None: not kept."""

    def __init__(self, folder: Path | None, *, strict: bool = True) -> None:
        self.folder = folder
        self._strict = strict
        self._committed: dict[int, int] = {}
        self._written_ms: dict[int, int] = {}
        self.ledger_id = self._read("ledger") or ""

    def floor(self, shard: int) -> int:
        """Return the newest token seen in a shard: ask before a request, check its reply by it."""
        if shard not in self._committed:
            text = self._read(f"shard-{shard:02}") or "0"
            self._committed[shard] = int(text) if text.isdecimal() else 0
        return self._committed[shard]

    def check(self, shard: int, ledger_id: str, committed: int, floor: int) -> None:
        """Take a shard's reply for one of the ledger we know, or raise LedgerLost."""
        self.check_ledger(ledger_id)
        if committed < floor:
            older = f"Redis came back older: shard {shard} is at batch {committed}, was at {floor}"
            if self._strict:
                raise LedgerLost(f"{older}; restore it{self._or_forget()}")
            log.critical("%s: sales are lost", older)
            self._committed[shard] = committed
        if committed > self._committed.get(shard, -1):
            self._committed[shard] = committed
            self._keep(shard, committed)

    def check_ledger(self, ledger_id: str) -> None:
        """Take an id, "" for none, for our ledger's, or raise LedgerLost."""
        if ledger_id != self.ledger_id:
            if self.ledger_id:
                what = f"holds another ledger, {ledger_id}" if ledger_id else "came back empty"
                raise LedgerLost(
                    f"Redis {what}, instead of {self.ledger_id}; restore it{self._or_forget()}"
                )
            self.ledger_id = ledger_id
            self._write("ledger", ledger_id)

    def _keep(self, shard: int, committed: int) -> None:
        now = clock_ms()
        if now - self._written_ms.get(shard, -WRITE_EVERY_MS) >= WRITE_EVERY_MS:
            self._written_ms[shard] = now
            self._write(f"shard-{shard:02}", str(committed))

    def _or_forget(self) -> str:
        return f", or remove {self.folder} to accept it" if self.folder else ""

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
