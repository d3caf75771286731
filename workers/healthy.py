"""`python -m workers.healthy`: whether this host's workers live, for a container's health check.

Exit status 0 if every worker has booted, which takes a ledger, and its heart beats; else 1.
"""

from __future__ import annotations

import os
import sys

from workers.errors import BadSetting
from workers.hearts import HEARTBEAT_LIMIT_MS, Hearts, clock_ms
from workers.settings import Settings, read_settings


def main() -> int:
    """Look at the hearts of the pool that has these settings, and say what is wrong."""
    try:
        faults = look(read_settings(os.environ))
    except BadSetting as error:
        faults = [str(error)]
    print("\n".join(faults) or "healthy")  # noqa: T201 - `docker inspect` shows it
    return 1 if faults else 0


def look(settings: Settings) -> list[str]:
    """Return what is wrong with the workers; nothing if all is well."""
    try:
        hearts = Hearts(settings.run_path / "hearts", settings.workers)
    except (OSError, ValueError) as error:  # ValueError: those of another number of workers
        return [f"no pool of {settings.workers} runs in {settings.data_path}: {error}"]
    now = clock_ms()
    pulses = [hearts.pulse(worker) for worker in range(1, settings.workers + 1)]
    return [f"worker {pulse.worker} has not booted" for pulse in pulses if not pulse.ready] + [
        f"worker {pulse.worker} has not been heard of for {now - pulse.beat_clock_ms} ms"
        for pulse in pulses
        if pulse.ready and now - pulse.beat_clock_ms > HEARTBEAT_LIMIT_MS
    ]


if __name__ == "__main__":
    sys.exit(main())
