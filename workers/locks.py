"""The lock that makes read, decide, write one step. `with lock as token:` gives a fencing token.

Tokens only grow. A ledger refuses a token that is not newer than the last one committed, so a
holder that slept past its time can do no harm, whatever the lock believed of it.
"""

from __future__ import annotations

import multiprocessing as mp
from ctypes import c_uint64
from multiprocessing.sharedctypes import RawValue
from multiprocessing.synchronize import Lock as Semaphore
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from workers.errors import Fenced, LedgerFault
from workers.hearts import Heart, Phase
from workers.metrics import LOCK_HELD, LOCK_WAIT, Slot, clock_us

if TYPE_CHECKING:
    from workers.shards.turn import Turn  # and with it Redis' driver, which one host never loads

ASK_SECONDS = 0.2  # between two beats of a worker that waits for the lock


class Lock(Protocol):
    """Mutual exclusion of the workers of one ledger, with a fencing token for each holder."""

    def __enter__(self) -> int:
        """Wait for the lock; return a token larger than any holder had before."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back."""


class ProcessLock:
    """What the supervisor makes and its workers inherit: a `multiprocessing.Lock` and a counter.

    The lock is a plain semaphore. A holder that is killed leaves it taken for ever, which only the
    supervisor can cure (`pool`): that is why a holder says where it is.
    """

    def __init__(self) -> None:
        self.semaphore: Semaphore = mp.get_context("fork").Lock()
        self._last_token = RawValue(c_uint64, 0)

    def start_above(self, token: int) -> None:
        """Let tokens go on above what a ledger has seen. Call it with the lock held."""
        self._last_token.value = max(self._last_token.value, token)

    def next_token(self) -> int:
        """Return a new token. Call it with the lock held."""
        self._last_token.value += 1
        return int(self._last_token.value)


class HeldProcessLock:
    """One worker's use of a ProcessLock: it beats while it waits, and says where it is."""

    def __init__(self, shared: ProcessLock, heart: Heart, slot: Slot | None = None) -> None:
        self._shared = shared
        self._heart = heart
        self._slot = slot or Slot()
        self._since_us = 0

    def __enter__(self) -> int:
        """Wait for the lock, beating; return a new token."""
        asked = clock_us()
        self._heart.enter(Phase.TAKING)
        while not self._shared.semaphore.acquire(timeout=ASK_SECONDS):
            self._heart.beat()
        self._heart.enter(Phase.HOLDING)
        self._since_us = clock_us()
        self._slot.observe(LOCK_WAIT, self._since_us - asked)
        return self._shared.next_token()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        self._heart.enter(Phase.RELEASING)
        self._shared.semaphore.release()
        self._heart.enter(Phase.IDLE)
        self._slot.observe(LOCK_HELD, clock_us() - self._since_us)


class RedisLock:
    """One worker's use of its shard's lock in Redis: `SET NX PX` and a fencing token in one script.

    A sleeper loses it, and learns of it only when it commits:

        A: takes it, token 7 … sleeps past the lease ……………………… commits with 7: refused
        B:                              takes it, token 8, commits with 8

    Who waits is woken by the release, not by polling; a lease that ran out is found within
    ASK_SECONDS. Only its owner gives it back, or the pool of an owner that died.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __enter__(self) -> int:
        """Wait for the lock, unless the inbox took it with its frames. Raises LedgerFault."""
        turn = self._turn
        if turn.token is not None:
            turn.complete = True
            return turn.token
        wait_seconds = 0.0
        while not turn.take(0, wait_seconds, anyway=True):
            wait_seconds = ASK_SECONDS
        if turn.token is None:
            raise LedgerFault("the lock was taken and is gone")
        return turn.token

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back, unless the commit did. After a fault all is left as it stands."""
        if isinstance(error, LedgerFault | Fenced):
            self._turn.give_up()
        else:
            self._turn.release()
