"""Puts a disk that breaks on demand under a whole service whose PYTHONPATH leads here.

SOLDOUT_TEST_DISK names a directory. While there is a file in it named `full`, nothing can be
written; `sync-fails`, no sync succeeds; `sync-blocks`, no sync returns. `syncing` is made when one
is under way.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.faults.disk import Disk, broken, mounted, no_room


class RuledDisk(Disk):
    """Breaks while files say so."""

    def __init__(self, rules: Path) -> None:
        self._rules = rules

    def writing(self, suffix: str) -> None:  # noqa: ARG002
        if (self._rules / "full").exists():
            raise no_room()

    def syncing(self, suffix: str) -> None:  # noqa: ARG002
        if (self._rules / "sync-fails").exists():
            raise broken()
        while (self._rules / "sync-blocks").exists():
            (self._rules / "syncing").touch()
            time.sleep(0.005)


if "SOLDOUT_TEST_DISK" in os.environ:
    _mounted = mounted(RuledDisk(Path(os.environ["SOLDOUT_TEST_DISK"])))
    _mounted.__enter__()  # for as long as this process lives
