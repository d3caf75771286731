"""The site of one host: a SQLite ledger, a Unix socket for each worker, one lock of all processes.

A worker that dies holding that lock leaves it taken for ever. Then the whole generation ends, and a
new one starts with a new lock: SQLite has rolled back, the web sends its frames again, and a key
sells once. One-for-all is simple, safe, and takes some tens of milliseconds.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from workers.domain import Now
from workers.errors import BootFailed, LedgerFault
from workers.handoffs.unix_socket import UnixInbox
from workers.hearts import Heart, Phase, Pulse, clock_ms, wall_ms
from workers.ledgers.sqlite import SqliteLedger
from workers.locks import HeldProcessLock, ProcessLock
from workers.metrics import Metrics, Slot
from workers.settings import Settings
from workers.worker import Worker

log = logging.getLogger(__name__)

OPEN_AGAIN_SECONDS: Final = 0.5  # a disk that is full is not freed in less
LOOK_THROUGH_SECONDS: Final = 0.5  # some 350,000 orders; the start shall take 2 s, and no more
LOCK_SECONDS: Final = 0.5  # a living holder gives the lock back within one batch


class OneHost:
    """What the workers of an embedded service share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = ProcessLock()
        self._file = LedgerFile(settings)

    def prepare(self) -> None:
        """Say which ledger it is; whether it is any good its first worker finds out."""
        self._file.announce()

    def begin_generation(self) -> None:
        """Make a new lock."""
        self._lock = ProcessLock()

    def boot(self, heart: Heart) -> Worker:
        """Put a worker together. Raises BootFailed."""
        worker = heart.pulse().worker
        slot = Slot(Metrics(self._settings.metrics_path).worker(worker))
        lock = HeldProcessLock(self._lock, heart, slot)
        ledger = self._open_ledger(heart, HeldProcessLock(self._lock, heart))
        try:
            inbox = UnixInbox(self._settings.run_path, worker)
        except OSError as error:
            raise BootFailed(f"cannot listen in {self._settings.run_path}: {error}") from error
        return Worker(inbox, lock, ledger, heart, _now, self._settings.batch_max, slot)

    def free_lock_of(self, dead: Pulse) -> bool:
        """Say whether the lock is free; nobody can take it from the dead."""
        if dead.phase in {Phase.BOOTING, Phase.IDLE}:
            return True
        if dead.phase is Phase.HOLDING:
            return False
        if not self._lock_is_ours():
            return False
        self._lock.semaphore.release()
        return True

    def leave(self, worker: Worker) -> None:
        """Close the ledger, one worker after the other, unless one keeps the lock for long.

        The last one out empties the log into the file; of two at once, neither is the last.
        """
        heart = worker.heart
        heart.enter(Phase.TAKING)
        ours = self._lock_is_ours()
        heart.enter(Phase.HOLDING if ours else Phase.IDLE)
        worker.close()
        if ours:
            heart.enter(Phase.RELEASING)
            self._lock.semaphore.release()
            heart.enter(Phase.IDLE)

    def _lock_is_ours(self) -> bool:
        """Take the lock, if its holder lives, without a token."""
        # Asked again and again: a wait with a timeout goes by the wall clock, which may be set.
        limit = time.monotonic() + LOCK_SECONDS
        while not self._lock.semaphore.acquire(block=False):
            if time.monotonic() > limit:
                return False
            time.sleep(LOCK_SECONDS / 100)
        return True

    def look(self, *, ready: bool) -> None:
        """See to it that the workers' ledger is where it was. Raises BootFailed."""
        if ready:
            self._file.remember()
        self._file.check()

    def _open_ledger(self, heart: Heart, lock: HeldProcessLock) -> SqliteLedger:
        """Open the ledger, however long a full disk or another program keeps it from us."""
        while True:
            try:
                with lock:
                    ledger = SqliteLedger(self._settings.ledger_path, heart.beat_on)
                    if not self._file.known and heart.pulse().worker == 1:
                        self._look_through(ledger)
                    self._lock.start_above(ledger.last_token())
                    return ledger
            except LedgerFault as fault:
                log.error("not yet: %s", fault)
                time.sleep(OPEN_AGAIN_SECONDS)

    def _look_through(self, ledger: SqliteLedger) -> None:
        """Look for damage once a start, not whenever a worker is replaced: a sale waits then."""
        if not ledger.look_through(LOOK_THROUGH_SECONDS):
            log.info("the ledger is large: not all of it was looked through for damage")


class LedgerFile:
    """The ledger's place in the file system: sales into a file that was removed would be lost."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.ledger_path
        self._known: tuple[int, int] | None = None

    def announce(self) -> None:
        """Say which ledger it is, and whether it is a new one."""
        log.info("%s %s", "the ledger" if self._path.exists() else "a new ledger:", self._path)

    @property
    def known(self) -> bool:
        """Whether this service has worked with it."""
        return self._known is not None

    def remember(self) -> None:
        """Take the file that is there for the ledger, the first time."""
        self._known = self._known or self._look()

    def check(self) -> None:
        """Raise BootFailed if another file, or none, has taken the ledger's place."""
        if self._known is not None and self._look() != self._known:
            raise BootFailed(f"the ledger {self._path} was removed or replaced while it was in use")

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


def _now() -> Now:
    return Now(wall_ms=wall_ms(), clock_ms=clock_ms())
