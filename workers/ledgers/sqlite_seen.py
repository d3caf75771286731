"""How far the embedded ledger has come, in a small file beside it: `ledger.db-seen`.

SQLite takes a ledger whose log was removed, or damaged in its middle, for a good one that ends
earlier, an empty file for a new one, and the log of another ledger for its own: it would sell
again what was sold. So each committed batch is noted here as well, before anybody hears of it, and
what has come less far than was seen is refused. After a power failure this file may be behind the
ledger, never ahead: it is not synced, and written after the commit.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from workers.errors import BootFailed

NOTE_MAX_BYTES: Final = 100  # more than it has, so that what is appended is seen
_NOTE = re.compile(r"([0-9a-f-]{36}) (\d{20})\n")
_NEVER_WRITTEN = re.compile(r"\0*")  # a file of a moment before the power failed


class Seen:
    """The note beside one ledger. `read` opens it, and makes it if it is not there."""

    def __init__(self, ledger_path: Path) -> None:
        self._ledger_path = ledger_path
        self.path = ledger_path.with_name(f"{ledger_path.name}-seen")
        self.ledger_id = ""
        self.token = 0
        self._descriptor = -1

    def read(self) -> None:
        """Read what was noted. Raises BootFailed."""
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            found = os.pread(self._descriptor, NOTE_MAX_BYTES, 0)
        except OSError as error:
            raise BootFailed(f"{self.path} cannot be used: {error.strerror}") from error
        self._understand(found)

    def _understand(self, found: bytes) -> None:
        text = found.decode("ascii", "replace")
        note = _NOTE.fullmatch(text)
        if note:
            self.ledger_id, self.token = note[1], int(note[2])
        elif not _NEVER_WRITTEN.fullmatch(text):
            raise BootFailed(f"{self.path} is damaged; if the ledger is right, remove it")

    def check_new(self) -> None:
        """Refuse to begin a ledger where there was one. Raises BootFailed."""
        if self.ledger_id:
            self._refuse("is gone, or empty")

    def check(self, ledger_id: str, token: int) -> None:
        """Refuse another ledger, or this one when it was newer. Raises BootFailed."""
        if self.ledger_id and ledger_id != self.ledger_id:
            self._refuse(f"is another one, {ledger_id} and not {self.ledger_id}")
        if token < self.token:
            self._refuse(f"is older than it was: it ends with batch {token}, not {self.token}")
        self.ledger_id = ledger_id

    def look(self) -> None:
        """Read what was noted, if there is a note, and leave it alone. Raises BootFailed."""
        try:
            self._understand(self.path.read_bytes()[:NOTE_MAX_BYTES])
        except FileNotFoundError:
            return
        except OSError as error:
            raise BootFailed(f"{self.path} cannot be read: {error.strerror}") from error

    def note(self, token: int) -> None:
        """Note that the batch with this fencing token is committed. One system call."""
        with suppress(OSError):  # the sale stands; what is missed is only that the ledger shrank
            os.pwrite(self._descriptor, f"{self.ledger_id} {token:020}\n".encode(), 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _refuse(self, what: str) -> None:
        raise BootFailed(
            f"the ledger {self._ledger_path} {what}; restore it, with its -wal file if it has one,"
            f" or remove {self.path} to sell from what is there"
        )
