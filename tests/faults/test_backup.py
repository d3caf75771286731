"""A backup is made while it sells, and is whole or not there."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.backups import (
    COMMAND,
    back_up,
    kill_within,
    refused,
    restore,
    soldout_does,
    state_of,
    told,
)
from tests.faults.conftest import put
from tests.faults.crowd import PLENTY, crowding, until
from tests.fill_ledger import KEYS, fill
from tests.fuzz.damaged import History
from tests.harness import SEED, Soldout, serving
from workers import backup
from workers.errors import BackupRefused

ORDERS = 10_000  # more than SQLite keeps in memory


def test_a_backup_made_in_a_crowd_is_whole_and_private_and_sells_on(
    service: Soldout, stadium: str, tmp_path: Path
) -> None:
    copy = tmp_path / "backup.db"
    with crowding(service, stadium) as crowd:
        until(lambda: crowd.sold() > 100, "it sells")
        done = back_up(service.data_dir, copy, "--json")
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold, "it sells on")
        crowd.stop()
    held = told(done)
    assert held["orders"] >= 100
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [copy], "nothing else is left behind"
    data_dir = tmp_path / "restored"
    assert told(restore(data_dir, copy, "--json")) == held | {"replaced": None}
    with serving(data_dir) as restored:
        before = restored.audit(stadium)["orders"]
        assert before >= 100
        assert restored.buy(stadium).status_code == 201
        assert restored.audit(stadium)["orders"] == before + 1


def test_of_a_large_ledger_what_is_still_in_its_log_is_backed_up_with_the_rest(
    tmp_path: Path,
) -> None:
    """In the log pages have no checksums."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    fill(data_dir / "ledger.db", ORDERS, 1, KEYS["ordered"])
    with serving(data_dir) as service:
        stadium = put(service, "stadium", PLENTY)
        with crowding(service, stadium) as crowd:
            until(lambda: crowd.sold() > 200, "it sells")
            held = told(back_up(data_dir, tmp_path / "selling.db", "--json"))
        assert held["orders"] > ORDERS + 200
        orders = ORDERS + service.audit(stadium)["orders"]
        assert told(back_up(data_dir, tmp_path / "idle.db", "--json"))["orders"] == orders
        service.kill()
        assert told(back_up(data_dir, tmp_path / "killed.db", "--json"))["orders"] == orders
    restored = tmp_path / "restored"
    assert told(restore(restored, tmp_path / "idle.db", "--json"))["orders"] == orders


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("backup.db", "--force"),
        (".", "is a directory"),
        ("nowhere/backup.db", "no folder"),
    ],
)
def test_a_backup_that_cannot_be_made_says_why_and_overwrites_nothing(
    soldout: Soldout, tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "backup.db").write_text("precious")
    assert reason in refused(back_up(soldout.data_dir, tmp_path / place))
    assert state_of(tmp_path).keys() == {"backup.db"}
    assert (tmp_path / "backup.db").read_text() == "precious"


@pytest.mark.parametrize(
    "place",
    [
        "data/ledger.db",
        "data/ledger.db-wal",
        "data/ledger.db-seen",
        "data/ledger.db.old",
        "data/serve.lock",
        "data/admin-key",
        "other-way/ledger.db",
        "hard-link.db",
    ],
)
def test_no_backup_takes_the_place_of_what_the_service_works_with(
    tmp_path: Path, place: str
) -> None:
    """Over the ledger that sells, it would end the sale and lose what is sold meanwhile."""
    data_dir = tmp_path / "data"
    with serving(data_dir) as service:
        service.put_event("gala", capacity=9)
        (tmp_path / "other-way").symlink_to(data_dir)
        (tmp_path / "hard-link.db").hardlink_to(data_dir / "ledger.db")
        assert "the service's own" in refused(back_up(data_dir, tmp_path / place, "--force"))
        assert service.buy("gala").status_code == 201
        assert service.audit("gala")["sold"] == 1
        assert back_up(data_dir, data_dir / "backup.db").returncode == 0


def test_a_file_that_comes_while_a_backup_is_made_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    History(data_dir)
    checked = backup._check_target

    def check(*given: Any) -> None:
        checked(*given)
        if list(tmp_path.glob("*.part")):  # the worst moment: after the last look
            copy.write_text("precious")

    monkeypatch.setattr(backup, "_check_target", check)
    with pytest.raises(BackupRefused, match="is there already"):
        backup.back_up(data_dir / "ledger.db", copy)
    assert copy.read_text() == "precious"
    assert not list(tmp_path.glob("*.part"))


def test_without_a_ledger_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    line = refused(back_up(tmp_path / "nothing", tmp_path / "backup.db"))
    assert "is this the service's data directory?" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit_kib", [40, 64])
def test_a_disk_without_room_leaves_the_last_backup_and_no_half_of_a_new_one(
    tmp_path: Path, limit_kib: int
) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "backups" / "backup.db"
    History(data_dir)
    copy.parent.mkdir()
    copy.write_text("precious")
    done = soldout_does("backup", "--data-dir", data_dir, "--force", copy, limit_kib=limit_kib)
    assert str(copy.parent) in refused(done)
    assert [path.read_text() for path in copy.parent.iterdir()] == ["precious"]


def test_a_backup_or_restore_that_is_killed_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Killed at moments spread over all it does: what has the final name is whole."""
    data_dir, copy, other = tmp_path / "data", tmp_path / "backup.db", tmp_path / "other"
    data_dir.mkdir()
    fill(data_dir / "ledger.db", ORDERS, 1, KEYS["ordered"])
    chance = random.Random(SEED)
    began = time.monotonic()
    assert told(back_up(data_dir, tmp_path / "first.db", "--json"))["orders"] == ORDERS
    all_seconds = time.monotonic() - began
    looked = 0
    for seconds in moments(chance, all_seconds):
        if looked and seconds > all_seconds:
            break
        kill_within(seconds, "backup", "--data-dir", data_dir, "--force", copy)
        if copy.exists():
            looked += 1
            whole = told(restore(tmp_path / "whole", copy, "--replace", "--json"))
            assert whole["orders"] == ORDERS
    assert told(back_up(data_dir, copy, "--force", "--json"))["orders"] == ORDERS
    looked = 0
    for seconds in moments(chance, all_seconds):
        if looked and seconds > all_seconds:
            break
        kill_within(seconds, "restore", "--data-dir", other, "--replace", copy)
        if (other / "ledger.db").exists():
            looked += 1
            held = told(back_up(other, tmp_path / "looked.db", "--force", "--json"))
            assert held["orders"] == ORDERS
    assert told(restore(other, copy, "--replace", "--json"))["orders"] == ORDERS
    assert not list(other.glob("*-restoring"))


def moments(chance: random.Random, all_seconds: float) -> Iterator[float]:
    """Yield eight moments within the time it takes, then later ones, for a machine now slower."""
    for _ in range(8):
        yield chance.uniform(0.2, 1) * all_seconds
    for more in range(1, 20):
        yield (1 + more / 4) * all_seconds
    raise AssertionError("it was never there to be looked at")


@pytest.mark.long  # not for its time: it needs strace, which a developer's machine may lack
def test_a_backup_gets_its_name_after_it_is_on_the_disk_and_the_name_is_synced(
    tmp_path: Path,
) -> None:
    History(tmp_path / "data")
    log, copy = tmp_path / "calls", tmp_path / "backup.db"
    calls = "fsync,fdatasync,link,linkat,rename,renameat,renameat2,pwrite64"
    traced = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={calls}", "-o", str(log), *COMMAND]
    done = subprocess.run(
        [*traced, "backup", "--data-dir", str(tmp_path / "data"), str(copy)],
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    written = max(n for n, line in enumerate(lines) if "pwrite64" in line and ".part" in line)
    synced = max(n for n, line in enumerate(lines) if "sync(" in line and ".part" in line)
    (named,) = (n for n, line in enumerate(lines) if "link" in line and str(copy) in line)
    last = max(n for n, line in enumerate(lines) if "sync(" in line and f"<{tmp_path}>" in line)
    assert written < synced < named < last


def test_a_ledger_that_lost_what_was_seen_of_it_is_not_copied_and_stays_as_it_is(
    tmp_path: Path,
) -> None:
    """Restored into an empty directory, such a copy would sell again what was confirmed."""
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    with serving(data_dir) as service:
        service.put_event("gala", capacity=9)
        assert service.buy("gala").status_code == 201
        service.kill()  # so that there is a log, which somebody may still need
    seen = data_dir / "ledger.db-seen"
    ledger_id, token = seen.read_text().split()
    seen.write_text(f"{ledger_id} {int(token) + 1:020}\n")
    files = {name: (data_dir / name).read_bytes() for name in ("ledger.db", "ledger.db-wal")}
    assert "older than it was" in refused(back_up(data_dir, copy))
    assert not copy.exists()
    assert {name: (data_dir / name).read_bytes() for name in files} == files


def test_where_the_ledger_is_in_redis_its_own_tools_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLDOUT_LOCK", "redis")
    for words in (("backup", tmp_path / "x"), ("restore", tmp_path / "x")):
        done = soldout_does(*words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "docs/operations/back-up-and-restore.md" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_who_is_not_the_services_user_leaves_no_files_that_it_could_not_open(
    tmp_path: Path,
) -> None:
    data_dir = Path("/usr")  # root's
    if os.geteuid() == 0:
        data_dir = tmp_path / "data"
        History(data_dir)
        os.chown(data_dir, 65_534, -1)
        before = state_of(data_dir)
    copy = tmp_path / "backup.db"
    for done in (back_up(data_dir, copy), restore(data_dir, copy, "--replace")):
        assert "another user's" in refused(done)
    assert not copy.exists()
    if os.geteuid() == 0:
        assert state_of(data_dir) == before
