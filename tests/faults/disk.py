"""A disk that breaks on demand, under a real SQLite: a VFS between it and the file system.

`Disk` says what goes wrong, in this process. `broken_disk/` puts one into every process of a real
service, ruled by files in a directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tests.switched import UNDERNEATH, below

BROKEN_DISK = Path(__file__).with_name("broken_disk")


class Disk:
    """What happens to a file, named by its suffix (`.db`, `.db-wal`), before it happens there.

    Each may raise `no_room()` or `broken()`, or take its time.
    """

    def writing(self, suffix: str) -> None:
        """Take note of a write that is about to happen."""

    def syncing(self, suffix: str) -> None:
        """Take note of a sync that is about to happen."""

    def synced(self, suffix: str, read: Callable[[], bytes]) -> None:
        """Take note that all that can be read of the file now is surely on the disk."""

    def deleted(self, suffix: str) -> None:
        """Take note that a file is gone."""


class Rules:
    """What the disk of a service does from now on, if `put_under` its environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def put_under(self, env: dict[str, str]) -> None:
        """Have whatever starts with this environment find the disk under its databases."""
        paths = [env.get("PYTHONPATH", ""), str(BROKEN_DISK), str(Path(__file__).parents[2])]
        env["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        env["SOLDOUT_TEST_DISK"] = str(self.folder)

    def start(self, rule: str) -> None:
        """Let the disk be `full`, or `sync-fails`, or `sync-blocks`."""
        (self.folder / rule).touch()

    def end(self, rule: str) -> None:
        """Let that be over."""
        (self.folder / rule).unlink()

    def end_all(self) -> None:
        """Let the disk be a good one again."""
        for rule in self.folder.iterdir():
            rule.unlink()

    def syncing(self) -> bool:
        """Say whether a sync was begun that does not return."""
        return (self.folder / "syncing").exists()


def no_room() -> Exception:
    """Return what SQLite is told when the disk is full (ENOSPC)."""
    return apsw.FullError("no space left on the test's disk")


def broken() -> Exception:
    """Return what SQLite is told when the disk fails (EIO)."""
    return apsw.IOError("the test's disk is broken")


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(UNDERNEATH, name, flags)
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._suffix = Path(path or "").suffix

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's own names
        self._disk.writing(self._suffix)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.syncing(self._suffix)
        super().xSync(flags)
        # Read through SQLite's own descriptor: another one, when closed, would drop its locks.
        self._disk.synced(self._suffix, lambda: self.xRead(self.xFileSize(), 0))


class _Mounted:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def open(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._disk, name, flags)

    def delete(self, remove: Callable[[str, bool], None], path: str, sync: bool) -> None:
        remove(path, sync)
        self._disk.deleted(Path(path).suffix)

    def sleep(self, microseconds: int) -> int | None:  # noqa: ARG002
        return None


@contextmanager
def mounted(disk: Disk) -> Iterator[None]:
    """Put `disk` under every database that is opened in a `with` block."""
    with below(_Mounted(disk)):
        yield
