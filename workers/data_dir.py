"""The data directory: made private to this user, and used by one program at a time.

A start that is refused before it wrote anything leaves behind what it found, and no more.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from workers.errors import BootFailed

TAKEOVER_SECONDS: Final = 1.0  # how long a killed predecessor's processes may take to vanish


@contextmanager
def sole_use_of(path: Path) -> Iterator[Callable[[], None]]:
    """Hold a data directory, made private to this user, for ourselves. Raises BootFailed.

    Workers inherit the descriptor: while one of a killed predecessor lives, nobody else may start.
    An exception takes back what was made here, unless it comes after a call of what is yielded.
    """
    found, made = _names(path), list[Path]()
    try:
        descriptor = _take(path, made)
    except OSError as error:
        raise BootFailed(f"the data directory {path} cannot be used: {error}") from None
    try:
        yield made.clear
    except Exception:
        if _names(path) - {"serve.lock"} <= found:
            _take_back(made)
        raise
    finally:
        os.close(descriptor)


def _take(path: Path, made: list[Path]) -> int:
    """Return the locked file's descriptor; add to `made` what was not there. Raises BootFailed."""
    limit = time.monotonic() + TAKEOVER_SECONDS
    while True:
        _make_private(path, made)
        descriptor = _open_lock(path / "serve.lock", made)
        if _locked(descriptor, path / "serve.lock"):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > limit:
            raise BootFailed(f"another soldout already serves from {path}; stop it first")
        time.sleep(0.02)


def _make_private(path: Path, made: list[Path]) -> None:
    """Make the directory, or close one that is ours to others. Raises BootFailed, OSError."""
    made += [each for each in (*reversed(path.parents), path) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = {entry.name for entry in path.iterdir()}  # who may not read it is refused here
    if there - {"lost+found"} and not there & {"serve.lock", "ledger.db", "admin-key"}:
        raise BootFailed(f"{path} holds what is not soldout's: name a directory of its own")
    path.chmod(0o700)


def _open_lock(path: Path, made: list[Path]) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    made.append(path)
    return descriptor


def _locked(descriptor: int, path: Path) -> bool:
    """Lock the file, unless another has it or, refused, has just removed it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def _names(path: Path) -> set[str]:
    try:
        return {entry.name for entry in path.iterdir()}
    except OSError:
        return set()


def _take_back(made: list[Path]) -> None:
    """Remove what this start made, innermost first."""
    for each in reversed(made):
        with suppress(OSError):  # a directory that somebody uses by now
            each.rmdir() if each.is_dir() else each.unlink()
