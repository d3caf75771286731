"""`python -m workers.backup DATA_DIR FILE`: a copy of the embedded ledger, whole, while it sells.

SQLite's own tools would copy the ledger without the checksums that its pages have to carry. The
copy is looked through before it is called one. Exit status 0: done; 1: refused, with the reason.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import apsw

from workers.errors import SoldoutError
from workers.ledgers.sqlite_file import check_schema, open_file, refusing_to_start
from workers.ledgers.sqlite_look import look_through
from workers.ledgers.sqlite_seen import Seen


def back_up(ledger: Path, copy: Path) -> None:
    """Copy a ledger, as it stands at one moment, to a file that is not there yet.

    Raises BootFailed, LedgerFault.
    """
    seen = Seen(ledger)
    seen.look()  # before the copy is made: it must not lack what is noted by now
    connection = open_file(ledger, apsw.SQLITE_OPEN_READWRITE)
    try:
        with refusing_to_start(ledger):
            check_schema(connection, ledger)
            connection.execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
    connection = open_file(copy, apsw.SQLITE_OPEN_READWRITE)
    try:
        with refusing_to_start(copy):
            check_schema(connection, copy)
            seen.check(*connection.execute("SELECT id, fence FROM ledger").get)
            look_through(connection, math.inf)
    finally:
        connection.close()
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def main(arguments: list[str]) -> int:
    """Run the command line."""
    if len(arguments) != 2:
        print("usage: python -m workers.backup DATA_DIR FILE", file=sys.stderr)  # noqa: T201
        return 2
    data_dir, copy = map(Path, arguments)
    try:
        copy.touch(mode=0o600, exist_ok=False)  # its tickets are nobody else's business
    except OSError as error:
        return _refuse(error)
    try:
        back_up(data_dir / "ledger.db", copy)
    except (SoldoutError, OSError) as error:
        copy.unlink(missing_ok=True)
        return _refuse(error)
    return 0


def _refuse(error: Exception) -> int:
    print(f"soldout: {error}", file=sys.stderr)  # noqa: T201 - for the operator
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
