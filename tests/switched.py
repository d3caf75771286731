"""One VFS under every database that a test's process opens; disks are put there and taken away.

SQLite's cksumvfs is put on top of what is the default when a ledger is first opened, and stays
there. To load it again over something else, while any connection is open, can crash: what it knows
of the size of files changes under them. So what is underneath never changes but in what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import apsw

from workers.ledgers.sqlite_file import CHECKSUMS

UNDERNEATH: Final = "unix"
NAME: Final = "soldout-tests"


class Below(Protocol):
    """What takes the place of the file system for a while."""

    def open(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        """Open a file."""

    def delete(self, remove: Callable[[str, bool], None], path: str, sync: bool) -> None:
        """Remove a file, by `remove(path, sync)`."""

    def sleep(self, microseconds: int) -> int | None:
        """Wait for another connection's lock; None: as the system does."""


class _Switch(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(NAME, UNDERNEATH, makedefault=True)
        self.below: Below | None = None

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's own names
        return self.below.open(name, flags) if self.below else apsw.VFSFile(UNDERNEATH, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if self.below:
            self.below.delete(super().xDelete, filename, syncdir)
        else:
            super().xDelete(filename, syncdir)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        slept = self.below.sleep(microseconds) if self.below else None
        return super().xSleep(microseconds) if slept is None else slept


_switch: list[_Switch] = []


def install() -> None:
    """Put the switch under all ledgers. Call it before the process opens any."""
    if not _switch:
        assert CHECKSUMS not in apsw.vfs_names(), "a ledger was opened already"
        _switch.append(_Switch())


@contextmanager
def below(what: Below) -> Iterator[None]:
    """Have files opened and removed by `what` in a `with` block."""
    install()
    assert _switch[0].below is None
    _switch[0].below = what
    try:
        yield
    finally:
        _switch[0].below = None
