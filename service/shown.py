"""The ledger as it is read for somebody who is then told of it.

Nobody may be told of an older state afterwards: what `GET /remaining` keeps for a moment is out of
date as soon as anything newer was shown.
"""

from __future__ import annotations

import functools
from typing import Any

from workers.ledgers import LedgerReader


class Shown:
    """A ledger's reader that counts its reads, each when it has ended."""

    def __init__(self, reader: LedgerReader) -> None:
        self.reads = 0
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        """Return what the reader has under this name, so that calling it counts.

        Asked once for each method: it stands among the attributes then.
        """
        read = getattr(self._reader, name)
        if not callable(read):
            return read

        @functools.wraps(read)
        def count(*what: Any) -> Any:
            found = read(*what)
            self.reads += 1
            return found

        setattr(self, name, count)
        return count
