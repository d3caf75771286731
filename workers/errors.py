"""Faults of operation. What the business refuses is a value in `domain`, never one of these.

SoldoutError
├── BadSetting         a setting has a wrong value; the service does not start
├── BootFailed         a process cannot do its work at all; respawning it would not help
│   └── LedgerDamaged  what the ledger holds cannot be read; a backup has to be restored
├── BackupRefused      a backup or a restore is not made; all is as it was
├── Overloaded         too much is under way already; try again in a moment
├── Unavailable        nobody can be reached who could settle it; the same key is safe to send again
│   ├── NoLedger       nobody has put an event yet
│   └── LedgerFault    the ledger could not be read or written; the batch is not settled
│       └── LedgerLost what is there is not the ledger that was seen before; nothing is sold from it
├── StartAgain         what this process started with is out of date; a new one will know better
├── Fenced             a newer lock holder has committed; this one's batch is void
└── Inconsistent       a batch would break an invariant; it is not written
"""


class SoldoutError(Exception):
    """The root of all faults of operation."""


class BadSetting(SoldoutError):
    """A setting has a wrong value; the service does not start."""


class BootFailed(SoldoutError):
    """A process cannot do its work at all; respawning it would not help."""


class LedgerDamaged(BootFailed):
    """What the ledger holds cannot be read; a backup has to be restored. `what` is wrong, alone."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the ledger is damaged, restore a backup: {what}")
        self.what = what


class BackupRefused(SoldoutError):
    """A backup or a restore is not made; all is as it was."""


class Overloaded(SoldoutError):
    """Too much is under way already; try again in a moment."""


class Unavailable(SoldoutError):
    """Nobody can be reached who could settle it; the same key is safe to send again."""


class LedgerFault(Unavailable):
    """The ledger could not be read or written; the batch is not settled."""


class NoLedger(Unavailable):
    """Nobody has put an event yet."""


class LedgerLost(LedgerFault):
    """What is there is not the ledger that was seen before; nothing is sold from it."""


class StartAgain(SoldoutError):
    """What this process started with is out of date; a new one will know better."""


class Fenced(SoldoutError):
    """A newer lock holder has committed; this one's batch is void."""


class Inconsistent(SoldoutError):
    """A batch would break an invariant; it is not written. A bug, or a ledger that was damaged."""
