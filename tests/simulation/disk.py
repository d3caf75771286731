"""A simulated disk under the real SQLite: what was not synced may be lost, torn or reordered.

It is an apsw VFS on top of SQLite's own `unix` one. The files themselves, on a tmpfs, play the
kernel's page cache, which outlives a killed process; beside them is kept what has reached the disk,
and every write since the last fsync of its file. When the power fails, any subset of those writes
survives, each whole or in some of its sectors; a new file's name is certain only after its
directory was synced, a removed one may be back.

Why not in memory: apsw shows no xShm methods to Python. A file that inherits them from SQLite's
`unix` VFS has the real ones, in C: several connections of one process share the WAL's index, with
the locks they have among processes too. `locking_mode = EXCLUSIVE` would do without them, but not
be what is sold with. Not simulated for this reason: a process that dies in the middle of a change
to that shared memory. A killed process's connection is closed after all its writes have become
void; SQLite takes it for a connection whose disk fails, and gives its locks back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw

from tests.simulation.scheduler import Killed, Process, here, sim

SECTOR: Final = 512

Op = tuple[int, bytes | None]  # (offset, what is written there), or (size, None): cut there


@dataclass
class Stored:
    """What the disk holds of one file, and what it was told since."""

    content: bytearray = field(default_factory=bytearray)
    named: bool = False  # its name has reached the disk
    there: bool = True  # not removed
    unsynced: list[Op] = field(default_factory=list)


class Disk:
    """The files of one host. Chances are of each write or fsync."""

    def __init__(self) -> None:
        self.files: dict[str, Stored] = {}
        self.full_chance = 0.0
        self.write_fault_chance = 0.0
        self.sync_fault_chance = 0.0
        self.syncs = 0
        self.sync_that_fails = 0  # the nth; 0: none
        self.slow_chance = 0.0
        self.crash_chance = 0.0  # of the whole host, at an fsync
        self.crash: Callable[[], None] = lambda: None
        self.pages_in_wal = 1_000  # before SQLite copies them into the file

    def file(self, path: str) -> Stored:
        """Return what is known of a file; a new one has just been made."""
        stored = self.files.setdefault(path, Stored())
        if not stored.there:
            self.files[path] = stored = Stored(stored.content, named=stored.named)
            stored.unsynced.append((0, None))
        return stored

    def sync(self, path: str) -> None:
        """Bring a file's content to the disk."""
        stored = self.file(path)
        for op in stored.unsynced:
            apply(stored.content, op)
        stored.unsynced.clear()

    def sync_names(self) -> None:
        """Bring the directory to the disk."""
        for path, stored in list(self.files.items()):
            stored.named = True
            if not stored.there:
                del self.files[path]

    def certain(self) -> dict[str, bytes]:
        """Return what would be there if the power failed now and nothing unsynced survived."""
        return {path: bytes(stored.content) for path, stored in self.files.items() if stored.named}

    def lose_power(self) -> None:
        """Keep what was synced and some of the rest; forget everything else."""
        rng = sim().rng
        for path in list(self.files):
            stored = self.files[path]
            survives = rng.choice((0.0, 0.2, 0.5, 0.9, 1.0))
            back = rng.random() < 0.5
            if (not stored.named and not (back and stored.there)) or (
                stored.named and not stored.there and not back
            ):
                del self.files[path]
                Path(path).unlink(missing_ok=True)
                continue
            for op in stored.unsynced:
                if rng.random() < survives:
                    (apply if rng.random() < 0.7 else tear)(stored.content, op)
            self.files[path] = Stored(stored.content, named=True)
            Path(path).write_bytes(stored.content)
            Path(path + "-shm").unlink(missing_ok=True)
            sim().note(f"{Path(path).name} has {len(stored.content)} bytes after the power failure")


def apply(content: bytearray, op: Op) -> None:
    """Do a write to the disk's own content."""
    offset, data = op
    if data is None:
        del content[offset:]
        _reach(content, offset)
    else:
        _reach(content, offset + len(data))
        content[offset : offset + len(data)] = data


def tear(content: bytearray, op: Op) -> None:
    """Do a write in some of the disk's sectors, which begin where they do, not where it does."""
    offset, data = op
    if data is None:
        apply(content, op)
        return
    _reach(content, offset + len(data))
    at = 0
    while at < len(data):
        length = min(SECTOR - (offset + at) % SECTOR, len(data) - at)
        if sim().rng.random() < 0.5:
            apply(content, (offset + at, data[at : at + length]))
        at += length


def _reach(content: bytearray, size: int) -> None:
    content.extend(bytes(max(0, size - len(content))))


_disks: list[Disk] = [Disk()]


def disk() -> Disk:
    """Return the one that is under all files."""
    return _disks[-1]


def use(disk: Disk) -> None:
    """Make a disk the one that is under all files."""
    _disks[:] = [disk]


class File(apsw.VFSFile):
    """One open file of the simulated disk."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._short = Path(self._path).name.removeprefix("ledger.")
        self._disk = _disks[0]
        self._process: Process | None = sim().current.process if sim().current else None  # type: ignore[union-attr]
        self._disk.file(self._path)
        # SQLite syncs the directory with the first fsync of each handle of such a file.
        self._names_too = self._path.endswith(("-wal", "-journal"))

    def _point(self, what: str) -> None:
        if self._process is not None and self._process.dead:
            raise Killed
        with sim().in_kernel():
            sim().point(f"{what} {self._short}")

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write to the page cache."""
        self._point(f"write {len(data)} at {offset} of")
        disk = self._disk
        if sim().chance(disk.full_chance):
            sim().note("the disk is full")
            raise apsw.FullError("simulated")
        if sim().chance(disk.write_fault_chance):
            sim().note("the write fails")
            raise apsw.IOError("simulated")
        super().xWrite(data, offset)
        disk.file(self._path).unsynced.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """Cut the file in the page cache."""
        self._point(f"cut to {newsize}")
        super().xTruncate(newsize)
        self._disk.file(self._path).unsynced.append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        """Bring the file to the disk; it fails before or after that."""
        self._point("fsync")
        disk = self._disk
        if sim().chance(disk.crash_chance):
            sim().later(0.0, disk.crash)
            with sim().in_kernel():
                sim().sleep(0.001)
        if sim().chance(disk.slow_chance):
            with sim().in_kernel():
                sim().sleep(sim().rng.choice((0.002, 0.02, 0.2)))
        disk.syncs += 1
        fails = disk.syncs == disk.sync_that_fails or sim().chance(disk.sync_fault_chance)
        late = sim().chance(0.5)
        if not fails or late:
            disk.sync(self._path)
            if self._names_too:
                disk.sync_names()
                self._names_too = False
        if fails:
            sim().note("the fsync fails")
            raise apsw.IOError("simulated")
        self._point("fsynced")

    def xLock(self, level: int) -> None:  # noqa: N802
        """Lock the file, among all connections of all simulated processes."""
        self._point(f"lock {level}")
        super().xLock(level)


class Simulated:
    """What SQLite finds its files through."""

    def open(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        """Open a file of the simulated disk; a temporary one is none of its business."""
        if name is None or not _disks:
            return apsw.VFSFile("unix", name, flags)
        with sim().in_kernel():
            sim().point("open")
        return File(name, flags)

    def delete(self, remove: Callable[[str, bool], None], path: str, sync: bool) -> None:
        """Remove a file; certain only if the directory is synced."""
        with sim().in_kernel():
            sim().point(f"remove {Path(path).name}")
        remove(path, False)
        if path in _disks[0].files:
            _disks[0].files[path].there = False
        if sync:
            _disks[0].sync_names()

    def sleep(self, microseconds: int) -> int:
        """Wait for another connection's lock."""
        with sim().in_kernel():
            sim().sleep(microseconds / 1e6)
        return microseconds


def close_with_process(connection: apsw.Connection) -> None:
    """Have a connection end with the process that opened it."""
    if sim().current is None:
        return

    def close() -> None:
        with suppress(apsw.Error, Killed):
            connection.close(True)

    here().at_end.append(close)
    connection.wal_autocheckpoint(_disks[0].pages_in_wal)


def directory() -> Path:
    """Return where the page cache's files lie: a tmpfs if there is one."""
    place = Path("/dev/shm")
    return place if os.access(place, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))
