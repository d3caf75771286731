"""Runs a command of the load test, as a user types it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 60

Run = subprocess.CompletedProcess[str]


def run(command: list[str], cwd: Path, **variables: str) -> Run:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env=os.environ | variables,
        timeout=LIMIT_SECONDS,
    )
