"""The embedded ledger's file: how it is opened, made, recognized and refused.

It is opened in the process that uses it, after any fork, and only through SQLite: another
descriptor of the same file, when closed, would drop SQLite's locks. SQLite itself would read a page
with a flipped bit and take it for true, so `cksumvfs` keeps a checksum in each page and compares it
whenever the page is read.
"""

from __future__ import annotations

import functools
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import apsw
from apsw import sqlite_extra

from workers.errors import BootFailed, Inconsistent, LedgerDamaged, LedgerFault

APPLICATION_ID: Final = 0x50_1D_00_07  # tells this file from any other SQLite database
SCHEMA_VERSION: Final = 1
OLDEST_SAFE_SQLITE: Final = (3, 51, 3)  # 3.7.0 to 3.51.2 may corrupt a WAL that several write
STATEMENTS: Final = 128  # kept prepared; enough for all there are, in all their sizes
CHECKSUMS: Final = "cksmvfs"  # as SQLite knows it once the extension `cksumvfs` is loaded
CHECKSUM_BYTES: Final = 8  # at each page's end
BUSY_TIMEOUT_MS: Final = 1_000  # for another program to leave the ledger; below the heartbeat limit

P = ParamSpec("P")
R = TypeVar("R")


def reporting_faults(method: Callable[P, R]) -> Callable[P, R]:
    """Turn SQLite's errors into ours: the callers know nothing of SQLite."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except apsw.ConstraintError as error:
            raise Inconsistent(f"the ledger refused a row: {error}") from error
        except apsw.Error as error:
            if is_damage(error):
                raise LedgerDamaged(_in_a_line(error)) from error
            raise LedgerFault(f"the ledger: {type(error).__name__}: {_in_a_line(error)}") from error
        except OverflowError as error:
            raise Inconsistent(f"no row of the ledger holds that: {error}") from error
        except (ValueError, TypeError) as error:  # the decoders': no value that we write
            raise Inconsistent(f"a row of the ledger cannot be read: {error}") from error

    return guarded


def is_damage(error: apsw.Error) -> bool:
    """Say whether an error means that what the file holds is not what was written."""
    wrong_checksum = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
    return wrong_checksum or isinstance(error, apsw.CorruptError | apsw.NotADBError)


def _in_a_line(error: apsw.Error) -> str:
    """Return an error's words as one line: those of a damaged schema may quote anything."""
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA:
        return "the checksum of a page is wrong"
    return "".join(letter if letter.isprintable() else "?" for letter in str(error))


def open_file(path: Path, flags: int) -> apsw.Connection:
    """Return a connection of this process's own. Raises BootFailed."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SAFE_SQLITE:
        raise BootFailed(f"SQLite {apsw.sqlite_lib_version()} may corrupt a ledger; use 3.51.3")
    with refusing_to_start(path):
        _load_checksums()
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=STATEMENTS)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # Without this, an SQLite built with STAT4, as apsw's is, parses and plans a statement again
        # each time another value is bound to it: 46 µs instead of 3 to read an event.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def _load_checksums() -> None:
    """Have SQLite check the pages of what is opened from now on, in this process."""
    if CHECKSUMS not in apsw.vfs_names():
        try:
            with closing(apsw.Connection(":memory:")) as connection:
                sqlite_extra.load(connection, "cksumvfs")
        except (LookupError, sqlite_extra.NotAvailable) as error:
            raise BootFailed(f"this apsw has no cksumvfs, as its wheels do: {error}") from error


@contextmanager
def refusing_to_start(path: Path) -> Iterator[None]:
    """Name the file in each error: LedgerFault for what may pass, else BootFailed."""
    try:
        yield
    except apsw.Error as error:
        if is_damage(error) and not isinstance(error, apsw.NotADBError):
            raise LedgerDamaged(f"{path}: {_in_a_line(error)}") from error
        passing = isinstance(error, apsw.BusyError | apsw.FullError | apsw.IOError)
        if passing and not is_damage(error):
            raise LedgerFault(f"the ledger {path}: {_in_a_line(error)}") from error
        raise BootFailed(f"the ledger {path} cannot be used: {_in_a_line(error)}") from error
    except (ValueError, TypeError) as error:  # not the rows that we write
        raise BootFailed(f"the ledger {path} cannot be read: {error}") from error


def use_wal(connection: apsw.Connection, path: Path) -> None:
    """Put the file into WAL mode. Raises LedgerFault if that failed, which SQLite does not say.

    Without a WAL a commit ends with the removal of a file, and that is not synced: after a power
    failure the file may be back, and with it what was there before a sale that was confirmed.
    """
    mode = connection.execute("PRAGMA journal_mode = WAL").get
    if mode != "wal":
        raise LedgerFault(f"the ledger {path} cannot be put into WAL mode, and is in {mode!r}")


def create(connection: apsw.Connection) -> None:
    """Make a new ledger in an empty file, whole or not at all."""
    with connection:
        connection.execute(resources.files(__package__).joinpath("schema.sql").read_text())
        connection.execute(
            "INSERT INTO ledger VALUES (?, ?, ?, 0)",
            (str(uuid.uuid4()), secrets.token_bytes(32), time.time_ns() // 1_000_000),
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check_schema(connection: apsw.Connection, path: Path) -> None:
    """Refuse what is no ledger, or one of another version. Raises BootFailed."""
    if connection.execute("PRAGMA application_id").get != APPLICATION_ID:
        raise BootFailed(f"{path} is a database, but not a soldout ledger")
    version = connection.execute("PRAGMA user_version").get
    if version != SCHEMA_VERSION:
        raise BootFailed(
            f"{path} has schema version {version}; this soldout knows {SCHEMA_VERSION}"
        )
    if str(connection.execute("PRAGMA checksum_verification").get) != "1":
        raise BootFailed(f"{path} has no checksums in its pages, or its first page is damaged")
