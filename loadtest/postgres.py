"""A PostgreSQL of its own for one program under test, from Debian's `postgresql` package.

In: nothing. Out: a `Store` for a `with` block, in a directory that goes with it. The server refuses
to run as root, so root starts it as the user that the package made, or else as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loadtest.servers import Store, running

VERSIONS: Final = Path("/usr/lib/postgresql")
USERS: Final = ("postgres", "nobody")
SETTINGS: Final = {
    "synchronous_commit": "on",
    "fsync": "on",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "wal_init_zero": "on",
    "max_wal_size": "4GB",  # no checkpoint within a turn, as its documentation advises for writes
}


def postgres_programs() -> Path | None:
    """Return where the newest PostgreSQL's programs are, if there is one."""
    found = [path.parent for path in VERSIONS.glob("*/bin/postgres")]
    return max(found, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def postgres() -> Iterator[Store]:
    """Run an empty PostgreSQL that has every commit on disk before it answers."""
    programs = postgres_programs()
    if programs is None:
        raise FileNotFoundError("no PostgreSQL: apt-get install postgresql")
    user = _user()
    with tempfile.TemporaryDirectory(prefix="soldout-postgres-") as folder:
        if user:
            shutil.chown(folder, user)
        data = Path(folder, "data")
        initdb = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
        ]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
        settings = SETTINGS | {"unix_socket_directories": folder, "listen_addresses": ""}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        command = [str(programs / "postgres"), "-D", str(data), *flags]
        ready = [str(programs / "pg_isready"), "-q", "-h", folder]
        with running(
            command, lambda: subprocess.run(ready, check=False).returncode == 0, user=user
        ) as pid:
            yield Store(f"postgresql://postgres@/postgres?host={folder}", pid)


def _user() -> str | None:
    """Return whom to become: nobody else unless we are root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in USERS if user in known)
