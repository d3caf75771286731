"""What a ledger must do, for the worker that writes it and for the web process that reads it.

A writer is used by one worker, under the lock. A reader may be used by many at once.
"""

from __future__ import annotations

from typing import Protocol

from workers.domain import (
    Command,
    Entry,
    Event,
    Order,
)
from workers.rules import Settlement, State


class Ledger(Protocol):
    """The worker's side: load what a batch touches, commit what was decided."""

    def load(self, commands: list[Command]) -> State:
        """Return every event, order and count that `commands` name. Raises LedgerFault."""

    def commit(self, settlement: Settlement, token: int) -> None:
        """Write all of it, durably, or nothing.

        `token` is the lock's fencing token; a token that is not newer than the last one committed
        raises Fenced and changes nothing. Raises LedgerFault if it could not be written: then it
        is not known whether it was, and the same commands are safe to settle again.
        """

    def last_token(self) -> int:
        """Return the newest fencing token committed; new tokens start above it."""

    def close(self) -> None:
        """Leave the ledger in order."""


class LedgerReader(Protocol):
    """The web's side. Each call is one short read of what is committed. Raises LedgerFault."""

    @property
    def ledger_id(self) -> str:
        """Which ledger this is; a copy of it has the same. Raises NoLedger."""

    @property
    def secret(self) -> bytes:
        """What order ids are made from keys with. Raises NoLedger."""

    def event(self, event_id: str) -> Event | None:
        """Return one event with its stock."""

    def events(self) -> list[Event]:
        """Return all events with their stock, as they stood at one moment."""

    def order(self, order_id: str) -> Order | None:
        """Return one order by its id."""

    def orders(self, event_id: str, after: int, limit: int) -> list[Order]:
        """Return up to `limit` orders sold after journal entry `after`, in the order of sale."""

    def entries(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries of an event's journal after entry `after`."""

    def entries_at(self, event_id: str, numbers: list[int]) -> list[Entry]:
        """Return those of some entries of an event's journal that there are, in their order."""

    def tickets(self, event_id: str, after: int, limit: int) -> list[tuple[int, int]]:
        """Return up to `limit` tickets above number `after`: (number, entry of its order)."""

    def tickets_at(self, event_id: str, numbers: list[int]) -> list[tuple[int, int]]:
        """Return (number, entry of its order) of those of some tickets that there are, in order."""

    def close(self) -> None:
        """Let go of the ledger."""
