"""A backup becomes the embedded ledger again; what was there before is moved aside, never removed.

The backup is copied beside the ledger and checked before anything is touched. Then the old files
leave one by one, the note of how far the ledger had come as the last of all; where there is none,
one is made first. Whenever this is cut off, what is there is the old ledger, or the restored one,
or something that a start refuses because of that note.
"""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import Struct

from workers.backup import Contents, Watch, put_in_place, remove_draft, sync, unwatched, write_copy
from workers.data_dir import sole_use_of
from workers.errors import BackupRefused, BootFailed, LedgerDamaged
from workers.ledgers.sqlite_seen import Seen

OF_THE_LEDGER = ("", "-wal", "-shm", "-seen")  # the note is the last one, see above


class Restored(Struct):
    """What was restored, and what it took the place of.

    `had_more` says that the ledger that was there had come further, as far as that was noted;
    `same_ledger` that it was the one of the backup.
    """

    contents: Contents
    moved_to: Path | None = None
    had_more: bool = False
    same_ledger: bool = True


def restore(
    backup: Path, ledger: Path, *, replace: bool = False, watch: Watch = unwatched
) -> Restored:
    """Put a backup in the ledger's place; `replace` allows for a ledger that is there.

    Raises BackupRefused, BootFailed, LedgerFault, OSError; then the ledger is as it was.
    """
    if backup.is_dir():
        raise BackupRefused(f"{backup} is a directory; name a file in it")
    if not backup.is_file():
        raise BackupRefused(f"there is no file {backup}")
    with sole_use_of(ledger.parent):
        if ledger.exists() and not replace:
            raise BackupRefused(
                f"there is a ledger already, {ledger}; --replace moves it aside and restores"
            )
        if ledger.exists() and ledger.samefile(backup):
            raise BackupRefused(f"{backup} is the ledger itself")
        draft = ledger.with_name(f"{ledger.name}-restoring")
        if draft.exists() and draft.samefile(backup):
            raise BackupRefused(f"{backup} is half a restore that was killed; name a backup")
        remove_draft(draft)  # of a restore that was killed
        draft.touch(mode=0o600)
        try:
            contents = _copy(backup, draft, watch)
            restored = _compare(contents, ledger)
            restored.moved_to = _move_aside(ledger, draft, contents)
        finally:
            remove_draft(draft)
    return restored


def _copy(backup: Path, draft: Path, watch: Watch) -> Contents:
    try:
        return write_copy(backup, draft, watch)
    except LedgerDamaged as error:
        what = error.what.removeprefix(f"{backup}: ")
        raise BackupRefused(
            f"{backup} is damaged and was not restored, take another backup: {what}"
        ) from None


def _compare(contents: Contents, ledger: Path) -> Restored:
    """Say what is restored, beside what was noted of the ledger before."""
    note = Seen(ledger)
    try:
        note.look()
    except BootFailed:  # a note that nobody can read says nothing
        return Restored(contents)
    if not note.ledger_id:
        return Restored(contents)
    same = note.ledger_id == contents.ledger_id
    return Restored(contents, None, note.token > contents.batch, same)


def _move_aside(ledger: Path, draft: Path, contents: Contents) -> Path | None:
    """Move the old files into a folder of their own, and the new ledger into its place."""
    old = [Path(f"{ledger}{suffix}") for suffix in OF_THE_LEDGER]
    there = [path for path in old if path.exists()]
    if not there:
        put_in_place(draft, ledger)
        return None
    aside = _make_folder(ledger.parent)
    note = there.pop() if there[-1] == old[-1] else None
    if not note:
        _make_note(ledger, contents)
    for path in there:
        path.rename(aside / path.name)
    put_in_place(draft, ledger)
    if note:
        note.rename(aside / note.name)
    sync(aside)
    sync(ledger.parent)
    return aside


def _make_note(ledger: Path, contents: Contents) -> None:
    """Note what will be there: without it, a start between two files would begin a new ledger."""
    note = Seen(ledger)
    note.read()
    note.ledger_id = contents.ledger_id
    note.note(contents.batch)
    note.close()
    sync(note.path)
    sync(ledger.parent)


def _make_folder(parent: Path) -> Path:
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for number in range(1, 100):
        folder = parent / f"replaced-{moment}{f'-{number}' if number > 1 else ''}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise BackupRefused(f"{parent} holds too many folders named replaced-{moment}")
