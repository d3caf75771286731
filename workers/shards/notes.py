"""Small files of a data directory, in which the processes of a host tell what they have seen.

They outlive the processes. What a process knows does not depend on them: a file that cannot be read
is one that says nothing, and one that cannot be written is told to the operator.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


class Notes:
    """The files of one folder, each with its name. `folder` None: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, name: str) -> str:
        """Return what a file says; "" if there is none."""
        if self._folder is None:
            return ""
        try:
            return (self._folder / name).read_text().strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            log.warning("cannot read %s in %s: %s", name, self._folder, error)
            return ""

    def write(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        if self._folder is None:
            return
        draft = self._folder / f"{name}.{os.getpid()}"
        try:
            self._folder.mkdir(exist_ok=True)
            draft.write_text(text + "\n")
            draft.replace(self._folder / name)
        except OSError as error:
            log.warning("cannot remember the ledger in %s: %s", self._folder, error)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Say whether no other process reads and then writes; nobody waits for one that sleeps."""
        try:
            place = os.open(self._folder or os.curdir, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # there is none yet
            yield True
            return
        try:
            yield _locked(place)
        finally:
            os.close(place)


def _locked(place: int) -> bool:
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
