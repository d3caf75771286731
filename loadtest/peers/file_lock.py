"""The ticket file with its lock, held by one process at a time: slow, and right.

Start: `python -m loadtest.peers.file_lock --port 8002 --capacity 100`; end it by its process id.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from loadtest.peers import ticket_file


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock beside `path`; opened anew each time, it parts threads as well."""
    with path.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def create_app() -> Flask:
    """Return the app for gunicorn, with the lock around look and buy."""
    return ticket_file.create_app(lock=file_lock)


if __name__ == "__main__":
    ticket_file.serve("loadtest.peers.file_lock")
