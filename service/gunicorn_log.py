"""gunicorn's own words in the log that all processes share."""

from __future__ import annotations

import os
import signal
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from workers.logs import start_logging
from workers.settings import read_settings

BOOT_FAILED = (Arbiter.WORKER_BOOT_ERROR, Arbiter.APP_LOAD_ERROR)  # then all of it ends


class GunicornLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn says goes where everything goes; it has no access log of its own."""

    def setup(self, cfg: Any) -> None:
        """Start the log of the arbiter, and with it that of the web processes."""
        super().setup(cfg)
        start_logging(read_settings(os.environ).log)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self._statuses: dict[int, int | str] = {}

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an error; how a web process ended is said in our words, after this."""
        if not self._take_status(msg, args):
            super().error(msg, *args, **kwargs)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a warning, with the same exception."""
        if not self._take_status(msg, args):
            super().warning(msg, *args, **kwargs)

    def status_of(self, pid: int) -> int | str | None:
        """Return how a process ended, once: as multiprocessing counts, a signal is below zero."""
        return self._statuses.pop(pid, None)

    def _take_status(self, msg: str, args: tuple[Any, ...]) -> bool:
        """Keep what only gunicorn's words tell: it has no hook that is given the status."""
        if not msg.startswith("Worker (pid:%s) ") or len(args) != 2 or args[1] in BOOT_FAILED:
            return False
        pid, how = args
        named = how in signal.Signals.__members__
        self._statuses[pid] = -signal.Signals[how].value if named else how
        return True
