"""Small files of a data directory, in which the processes of a host tell what they have seen.

They outlive the processes, and are not synced: a host that loses power may forget the last half
minute. What a process knows does not depend on them; what goes wrong is told to the operator.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.complaints import Complaints

log = logging.getLogger(__name__)


class Notes:
    """The files of one folder, each with its name. `folder` None: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._complaints = Complaints(log)

    def read(self, name: str) -> str | None:
        """Return what a file says, "" if there is none; None if that cannot be known now."""
        if self._folder is None:
            return ""
        try:
            return (self._folder / name).read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._complaints.say("cannot read %s in %s: %s", name, self._folder, error)
            return None

    def write(self, name: str, text: str) -> bool:
        """Write a file, whole or not at all; say whether it was."""
        if self._folder is None:
            return True
        draft = self._folder / f"{name}.{os.getpid()}"
        try:
            self._folder.mkdir(exist_ok=True)
            draft.write_text(text + "\n")
            draft.replace(self._folder / name)
        except OSError as error:
            self._complaints.say("cannot remember the ledger in %s: %s", self._folder, error)
            return False
        self._complaints.over("what was seen of the ledger is written down again")
        return True

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Say whether no other process reads and then writes; nobody waits for one that sleeps."""
        if self._folder is None:
            yield True
            return
        try:
            self._folder.mkdir(exist_ok=True)
            place = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # of which the write will tell
            yield True
            return
        try:
            yield _is_locked(place)
        finally:
            os.close(place)


def _is_locked(place: int) -> bool:
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system that has no locks: better without than not at all
        log.debug("cannot lock: %s", error)
    return True
