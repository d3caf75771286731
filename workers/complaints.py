"""Saying once what goes wrong again and again: for every batch, every try, everybody in a crowd."""

from __future__ import annotations

import math
from logging import Logger
from typing import Final

from workers.hearts import clock_ms

TOLD_APART_MAX: Final = 8  # faults; more of them are words that differ each time
MANY_EVERY_MS: Final = 1_000  # between two lines of those


class Complaints:
    """The faults of one thing. The same one is said again after `again_ms`, or once it was over."""

    def __init__(self, log: Logger, again_ms: float = math.inf) -> None:
        self.fault = ""  # the newest, said or not; "" when it is over
        self._log = log
        self._again_ms = again_ms
        self._said_ms: dict[str, int] = {}  # each that was said, and when

    def say(self, line: str, *arguments: object) -> None:
        """Log an error, if it is time to; the last argument is the fault, which it is known by."""
        self.fault = str(arguments[-1])
        now_ms, said_ms = clock_ms(), self._said_ms
        if self.fault in said_ms and now_ms - said_ms[self.fault] < self._again_ms:
            return
        if len(said_ms) >= TOLD_APART_MAX:
            if now_ms - max(said_ms.values()) < MANY_EVERY_MS:
                return
            said_ms.clear()
        said_ms[self.fault] = now_ms
        self._log.error(line, *arguments)

    def over(self, line: str) -> None:
        """Log that a fault has passed, if there was one."""
        if self.fault:
            self.fault = ""
            self._said_ms.clear()
            self._log.info(line)
