"""The data directory: made private to this user, and used by one program at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from workers.errors import BootFailed

TAKEOVER_SECONDS: Final = 1.0  # how long a killed predecessor's processes may take to vanish


@contextmanager
def sole_use_of(path: Path) -> Iterator[None]:
    """Hold a data directory, made private to this user, for ourselves. Raises BootFailed.

    Workers inherit the descriptor: while one of a killed predecessor lives, nobody else may start.
    """
    try:
        _make_private(path)
        descriptor = os.open(path / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BootFailed(f"the data directory {path} cannot be used: {error}") from None
    try:
        _lock_file(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    """Make the directory, or close one that is ours to others. Raises BootFailed, OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = {entry.name for entry in path.iterdir()}
    if there - {"lost+found"} and not there & {"serve.lock", "ledger.db", "admin-key"}:
        raise BootFailed(f"{path} holds what is not soldout's: name a directory of its own")
    path.chmod(0o700)


def _lock_file(descriptor: int, path: Path) -> None:
    limit = time.monotonic() + TAKEOVER_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                raise BootFailed(
                    f"another soldout already serves from {path}; stop it first"
                ) from None
            time.sleep(0.02)
        else:
            return
