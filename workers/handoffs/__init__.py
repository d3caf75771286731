"""How commands reach the workers and outcomes come back: what each end must do.

Commands travel in frames. An outcome is sent only after its batch is durable; a frame without an
answer may be sent again, to any worker, because a key sells once.
"""

from __future__ import annotations

from typing import Protocol

from workers.domain import Command, Outcome


class Inbox(Protocol):
    """A worker's end. Whatever was taken must be answered, in one call, before more is taken."""

    def take(self, limit: int, wait_seconds: float) -> list[Command]:
        """Wait for commands, `wait_seconds` at most; return up to `limit`, or none."""

    def take_waiting(self, limit: int) -> list[Command]:
        """Return up to `limit` further commands that are there already."""

    def answer(self, outcomes: list[Outcome]) -> None:
        """Send the outcome of every command taken, in the order they were taken."""

    def close(self) -> None:
        """Take no more; who waits will turn to another worker."""


class Lane(Protocol):
    """The web's end of one way to a worker; one frame is under way at a time. Raises OSError."""

    @property
    def fault(self) -> str:
        """Why the last frame was not answered, if that is worth telling; no secret is in it."""

    @property
    def retry_seconds(self) -> float:
        """How long it is left alone after a fault."""

    def connect(self) -> None:
        """Reach the worker."""

    def exchange(self, commands: list[Command]) -> list[Outcome]:
        """Send one frame and wait for its answer: an outcome for each command, in order."""

    def close(self) -> None:
        """Let go of the worker."""
