"""gunicorn's own words in the log that all processes share."""

from __future__ import annotations

import os
from typing import Any

from gunicorn.glogging import Logger

from workers.logs import start_logging
from workers.settings import read_settings


class GunicornLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn says goes where everything goes; it has no access log of its own."""

    def setup(self, cfg: Any) -> None:
        """Start the log of the arbiter, and with it that of the web processes."""
        super().setup(cfg)
        start_logging(read_settings(os.environ).log)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
