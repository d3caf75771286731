"""Copies of the embedded ledger: made whole while it sells, looked through before they count.

SQLite's own tools would copy a ledger without the checksums that its pages have to carry. Here a
copy is written under another name, checked (each page, each index, and an audit of each event),
synced, and only then gets its own name: half a copy never has it.
"""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path
from typing import Final

import apsw
from msgspec import Struct

from workers.audit import PAGE, audit
from workers.errors import BackupRefused
from workers.ledgers.sqlite_file import (
    CHECKSUM_BYTES,
    check_schema,
    is_damage,
    open_file,
    refusing_to_start,
)
from workers.ledgers.sqlite_look import look_through
from workers.ledgers.sqlite_reader import SqliteReader
from workers.ledgers.sqlite_seen import Seen

PAGES_A_STEP: Final = 1_000  # some milliseconds
BESIDE_THE_LEDGER: Final = ("serve.lock", "admin-key")
WITHOUT_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP)  # what FAT and its like answer

# Shows somebody a stage by its name and, where that can be told, how much of it is done: 0 to 1.
Watch = Callable[[str, Callable[[], float | None]], AbstractContextManager[object]]


def unwatched(_stage: str, _fraction: Callable[[], float | None]) -> AbstractContextManager[object]:
    """Show nobody."""
    return nullcontext()


class Contents(Struct):
    """What a copy holds. `batch` is the newest one committed, `ledger_id` whose they are."""

    ledger_id: str
    batch: int
    events: int
    orders: int
    newest_sale_ms: int | None


def back_up(ledger: Path, copy: Path, *, force: bool = False, watch: Watch = unwatched) -> Contents:
    """Copy a ledger, as it stands at one moment, to `copy`; with `force` also over what is there.

    Raises BackupRefused, BootFailed, LedgerFault, OSError; then nothing has changed.
    """
    _check_target(ledger, copy, force)
    if not ledger.exists():
        raise BackupRefused(f"there is no ledger {ledger}; is this the service's data directory?")
    descriptor, name = tempfile.mkstemp(".part", f"{copy.name}.", copy.parent)  # with mode 0600:
    os.close(descriptor)  # its tickets and the secret of its orders are nobody else's business
    draft = Path(name)
    try:
        contents = write_copy(ledger, draft, watch)
        _check_target(ledger, copy, force)
        if force:
            put_in_place(draft, copy)
        else:
            _put_where_nothing_is(draft, copy)
    finally:
        remove_draft(draft)
    return contents


def _check_target(ledger: Path, copy: Path, force: bool) -> None:
    if not copy.parent.is_dir():
        raise BackupRefused(f"there is no folder {copy.parent}")
    if copy.is_dir():
        raise BackupRefused(f"{copy} is a directory; name a file in it")
    if _is_the_services(ledger, copy):
        raise BackupRefused(f"{copy} is the service's own; take another name")
    if copy.exists() and not force:
        raise _there_already(copy)


def _is_the_services(ledger: Path, copy: Path) -> bool:
    """Tell whether a name is the ledger's, or of what the service keeps beside it."""
    if copy.exists() and ledger.exists() and copy.samefile(ledger):
        return True
    if not ledger.parent.exists() or not copy.parent.samefile(ledger.parent):
        return False
    return copy.name.startswith(ledger.name) or copy.name in BESIDE_THE_LEDGER


def _there_already(copy: Path) -> BackupRefused:
    return BackupRefused(f"{copy} is there already; take another name, or --force")


def write_copy(ledger: Path, draft: Path, watch: Watch = unwatched) -> Contents:
    """Copy a ledger into a file that is empty or not there, sync and check it.

    `ledger` stays as it is, its log included. Raises BackupRefused, BootFailed, LedgerFault.
    """
    seen = Seen(ledger)
    seen.look()  # before the copy is made: it must not lack what is noted by now
    _copy(ledger, draft, watch)
    contents = _check(draft, ledger, seen, watch)
    sync(draft)
    return contents


def _copy(ledger: Path, draft: Path, watch: Watch) -> None:
    with (
        closing(open_file(ledger, apsw.SQLITE_OPEN_READWRITE)) as connection,
        refusing_to_start(ledger),
    ):
        # A log that somebody may want to look at is not emptied by whoever leaves last.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        check_schema(connection, ledger)
        _copy_pages(connection, ledger, draft, watch)


def _copy_pages(source: apsw.Connection, ledger: Path, draft: Path, watch: Watch) -> None:
    """Copy page by page, into a file that has a first page already.

    From that one the checksums' VFS learns that there are any, and SQLite writes it last: all pages
    that do not fit into its cache would have none (`VACUUM INTO`), or those of pages that were
    read from the log, which are not theirs.
    """
    with closing(open_file(draft, apsw.SQLITE_OPEN_READWRITE)) as target:
        target.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")  # synced as a whole
        target.reserve_bytes(reserve=CHECKSUM_BYTES)
        target.execute("PRAGMA user_version = 1")
        source.execute("BEGIN; SELECT id FROM ledger")  # one moment, for all pages
        try:
            with (
                target.backup("main", source, "main") as copying,
                watch("copying", lambda: 1 - copying.remaining / (copying.page_count or 1)),
            ):
                while not copying.done:
                    copying.step(PAGES_A_STEP)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, for a read-only disk, too
        except apsw.FullError:
            raise BackupRefused(f"no room for a copy in {draft.parent}") from None
        except apsw.IOError as error:
            if is_damage(error):
                raise
            raise BackupRefused(f"{ledger} cannot be copied to {draft.parent}: {error}") from None


def _check(draft: Path, ledger: Path, seen: Seen, watch: Watch) -> Contents:
    """Look through a copy; what is wrong with its pages was wrong with the ledger's."""
    with (
        closing(open_file(draft, apsw.SQLITE_OPEN_READWRITE)) as connection,
        refusing_to_start(ledger),
    ):
        check_schema(connection, draft)
        ledger_id, batch = connection.execute("SELECT id, fence FROM ledger").get
        seen.check(ledger_id, batch)
        with watch("checking", lambda: None):
            look_through(connection, math.inf)
        events = connection.execute("SELECT count(*) FROM events").get
        orders, newest_ms = connection.execute("SELECT count(*), max(sold_at_ms) FROM orders").get
    _audit(draft, ledger, watch)
    return Contents(ledger_id, batch, events, orders, newest_ms)


def _audit(draft: Path, ledger: Path, watch: Watch) -> None:
    with closing(SqliteReader(draft)) as reader:
        events = reader.events()
        rows = sum(2 * event.entries + event.next_number for event in events) or 1
        pages = 0

        def count() -> None:
            nonlocal pages
            pages += 1

        with watch("auditing", lambda: pages * PAGE / rows):
            for event in events:
                found = audit(reader, event.id, count)
                if found is None or not found.consistent:
                    why = found.findings[0] if found else "it is gone"
                    raise BackupRefused(f"the audit of {event.id} in {ledger} fails: {why}")


def remove_draft(draft: Path) -> None:
    """Remove a copy that did not get its name, and what SQLite keeps beside a file in use."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{draft}{suffix}").unlink(missing_ok=True)


def put_in_place(draft: Path, place: Path) -> None:
    """Give a synced file its own name, for good: at no moment is there half a file under it."""
    draft.replace(place)
    sync(place.parent)


def _put_where_nothing_is(draft: Path, place: Path) -> None:
    """Give a synced file its own name, but not that of another one. Raises BackupRefused."""
    try:
        os.link(draft, place)
    except FileExistsError:  # it came while we copied
        raise _there_already(place) from None
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        put_in_place(draft, place)
    else:
        draft.unlink()
        sync(place.parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk. Not for what SQLite has open."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(PermissionError):  # folders of some network file systems
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
