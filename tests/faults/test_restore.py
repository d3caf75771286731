"""A backup becomes the ledger again: checked before anything is touched, and nothing is removed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.faults.backups import (
    back_up,
    refused,
    restore,
    state_of,
    told,
)
from tests.fuzz.damaged import History
from tests.harness import STOP_SECONDS, Soldout, ended, serving
from workers.errors import BootFailed
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_file import open_file
from workers.ledgers.sqlite_reader import SqliteReader
from workers.ledgers.sqlite_seen import Seen
from workers.restore import restore as put_back

KEY = "a-purchase-of-the-time-before"


def test_a_restored_ledger_knows_its_keys_and_gives_the_same_orders(tmp_path: Path) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    with serving(data_dir) as service:
        service.put_event("gala", capacity=9)
        order = service.buy("gala", 2, KEY).json()
        assert back_up(data_dir, copy).returncode == 0
        assert service.buy("gala", 3).status_code == 201
    done = restore(data_dir, copy, "--replace")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"restored from {copy}: 1 event, 1 order, the newest sold at 20")
    assert "sold or changed after the backup is not in it, and can be sold again" in done.stdout
    with serving(data_dir) as service:
        again = service.buy("gala", 2, KEY)
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (order, "true")
        assert service.audit("gala")["sold"] == 2
        new = service.buy("gala", 1).json()
        assert [ticket["number"] for ticket in new["tickets"]] == [3]


def test_a_restore_is_undone_by_restoring_what_was_moved_aside(tmp_path: Path) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    with serving(data_dir) as service:
        service.put_event("gala", capacity=9)
        assert back_up(data_dir, copy).returncode == 0
        assert service.buy("gala", 3).status_code == 201
        service.kill()  # what it sold is in its log alone
    aside = Path(told(restore(data_dir, copy, "--replace", "--json"))["replaced"])
    assert told(restore(data_dir, aside / "ledger.db", "--replace", "--json"))["orders"] == 1
    with serving(data_dir) as service:
        assert service.audit("gala")["sold"] == 3


def test_nothing_is_restored_under_a_running_service_or_over_a_ledger_unasked(
    tmp_path: Path,
) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    with serving(data_dir) as service:
        service.put_event("gala", capacity=9)
        assert back_up(data_dir, copy).returncode == 0
        assert "stop it first" in refused(restore(data_dir, copy, "--replace"))
        assert service.buy("gala").status_code == 201
    before = state_of(data_dir)
    assert "--replace moves it aside" in refused(restore(data_dir, copy))
    assert "is the ledger itself" in refused(restore(data_dir, data_dir / "ledger.db", "--replace"))
    assert state_of(data_dir) == before


def test_what_a_killed_restore_left_is_not_restored_and_not_removed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    History(data_dir)
    left = data_dir / "ledger.db-restoring"
    assert back_up(data_dir, tmp_path / "backup.db").returncode == 0
    (tmp_path / "backup.db").rename(left)
    (data_dir / "admin-key").write_text("the-key-of-this-service\n")
    before = state_of(data_dir)
    assert "name a backup" in refused(restore(data_dir, left, "--replace"))
    assert state_of(data_dir) == before


@pytest.mark.parametrize(
    "harm",
    [
        *("a flipped bit", "swapped pages", "cut off", "untrue", "no database", "another's"),
        *("none", "a directory"),
    ],
)
def test_a_backup_that_is_no_good_is_refused_before_anything_is_touched(
    tmp_path: Path, harm: str
) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    history = History(data_dir)
    (data_dir / "admin-key").write_text("the-key-of-this-service\n")
    assert back_up(data_dir, copy).returncode == 0
    if harm == "a flipped bit":
        flip(copy)
    elif harm == "swapped pages":
        content = copy.read_bytes()
        copy.write_bytes(content[:-8192] + content[-4096:] + content[-8192:-4096])
    elif harm == "untrue":
        with closing(open_file(copy, apsw.SQLITE_OPEN_READWRITE)) as connection:
            connection.execute("UPDATE orders SET first_number = 1 WHERE first_number = 5")
    elif harm == "cut off":
        copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    elif harm == "no database":
        copy.write_text("precious")
    else:
        copy.unlink()
        if harm == "a directory":
            copy.mkdir()
        elif harm == "another's":
            sqlite3.connect(copy).execute("CREATE TABLE t (x)").connection.close()
    before = state_of(data_dir)
    line = refused(restore(data_dir, copy, "--replace"))
    assert line.count(str(copy)) == 1, line
    damaged = harm in ("a flipped bit", "swapped pages", "cut off")
    assert ("damaged and was not restored, take another backup: " in line) == damaged
    assert "restore a backup" not in line, "one just tried to"
    assert ("is a directory; name a file in it" in line) == (harm == "a directory")
    assert state_of(data_dir) == before
    assert len(history.orders) > 100


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_an_older_ledger_copied_into_its_place_is_refused_until_it_is_restored(
    tmp_path: Path,
) -> None:
    """Whoever puts a backup back is told that what was sold since would be sold again."""
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    with serving(data_dir) as service:
        service.put_event("gala", capacity=9)
        assert service.buy("gala", 2).status_code == 201
        assert back_up(data_dir, copy).returncode == 0
        assert service.buy("gala", 3).status_code == 201
    shutil.copy(copy, data_dir / "ledger.db")
    with ended(Soldout(data_dir)) as service:
        process = service.launch().process
        assert process is not None
        assert process.wait(STOP_SECONDS) == 1
        assert any("older than it was" in line for line in service.log().splitlines())
    assert restore(data_dir, copy, "--replace").returncode == 0
    with serving(data_dir) as service:
        assert service.audit("gala")["sold"] == 2


class CutOffError(Exception):
    """The host died."""


@pytest.mark.parametrize("renames", range(6))
@pytest.mark.parametrize("crashed", [False, True], ids=["drained", "with a log"])
@pytest.mark.parametrize("noted", [True, False], ids=["noted", "without a note"])
def test_a_restore_cut_off_between_two_files_leaves_the_old_ledger_or_one_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crashed: bool, renames: int, noted: bool
) -> None:
    history = History(tmp_path / "made", crashed=crashed)
    ledger, older = history.put_down(tmp_path / "data"), tmp_path / "older.db"
    older.write_bytes(history.yesterday)
    (ledger.parent / "serve.lock").touch()
    if not noted:
        Seen(ledger).path.unlink()
    done = False
    with monkeypatch.context() as host, suppress(CutOffError):
        left = iter(range(renames))
        for name in ("rename", "replace"):
            host.setattr(os, name, cut_off_after(left, getattr(os, name)))
        put_back(older, ledger, replace=True)
        done = True
    if not done and renames:
        with pytest.raises(BootFailed, match=r"is gone, or empty|is older than it was"):
            SqliteLedger(ledger)
    elif not done:
        with closing(SqliteReader(ledger)) as reader:
            assert {event.id: event for event in reader.events()} == history.events
    yesterdays = put_back(older, ledger, replace=True).contents
    assert 0 < yesterdays.orders < len(history.orders)
    with closing(SqliteLedger(ledger)) as restored:
        assert restored.look_through(60)


def cut_off_after(left: Iterator[int], rename: Callable[..., None]) -> Callable[..., None]:
    def cut_off(*paths: Any) -> None:
        if next(left, None) is None:
            raise CutOffError
        rename(*paths)

    return cut_off
