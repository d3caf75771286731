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
    """The ledger's id, and how far each shard has come. `folder` None: not kept.

    What counts is the newest token whose sales were confirmed: a replica that is promoted may lack
    what nobody was told.
    """

    def __init__(self, folder: Path | None, *, strict: bool = True) -> None:
        self.folder = folder
        self._strict = strict
        self._confirmed: dict[int, int] = {}
        self._written: dict[int, tuple[int, int]] = {}  # token and when
        self.ledger_id = self._read("ledger") or ""

    def floor(self, shard: int) -> int:
        """Return the newest token seen in a shard; -1 if an older ledger is accepted."""
        return self._newest(shard) if self._strict else -1

    def learn(self, shard: int, confirmed: int) -> None:
        """Remember how far a shard has come."""
        if confirmed > self._newest(shard):
            self._confirmed[shard] = confirmed
        self._keep(shard)

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
        for shard in self._confirmed:
            self._keep(shard, at_once=True)

    def _newest(self, shard: int) -> int:
        if shard not in self._confirmed:
            self._confirmed[shard] = self._read_token(shard)
            self._written[shard] = self._confirmed[shard], clock_ms()
        return self._confirmed[shard]

    def _keep(self, shard: int, *, at_once: bool = False) -> None:
        token, (written, when_ms) = self._newest(shard), self._written[shard]
        if token > written and (at_once or clock_ms() - when_ms >= WRITE_EVERY_MS):
            self._written[shard] = token, clock_ms()
            if token > self._read_token(shard):  # others of this host write the same file
                self._write(f"shard-{shard:02}", str(token))

    def _read_token(self, shard: int) -> int:
        text = self._read(f"shard-{shard:02}") or "0"
        return int(text) if text.isdecimal() else 0

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
