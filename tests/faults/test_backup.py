"""A backup is made while it sells, and is whole or not there; what is put back sells on."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from tests.faults.crowd import crowding, until
from tests.fill_ledger import KEYS, fill
from tests.fuzz.damaged import History
from tests.harness import SEED, START_SECONDS, STOP_SECONDS, Soldout, ended, serving
from workers.ledgers.sqlite_file import open_file

COMMAND = [sys.executable, "-m", "service"]
KEY = "a-purchase-of-the-time-before"


def soldout_does(*words: object, limit_kib: int | None = None) -> subprocess.CompletedProcess[str]:
    """Type a command; files may become so large only, as if the disk were full then."""
    command = [*COMMAND, *map(str, words)]
    if limit_kib is not None:
        command = ["bash", "-c", f'ulimit -f {limit_kib} && exec "$@"', "bash", *command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


def back_up(data_dir: Path, copy: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return soldout_does("backup", "--data-dir", data_dir, copy, *more)


def restore(data_dir: Path, copy: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return soldout_does("restore", "--data-dir", data_dir, copy, *more)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line with which a command was refused."""
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert done.stderr.startswith("Error: ")
    return done.stderr


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


def state_of(folder: Path) -> dict[str, str]:
    """Return every file below a folder by the hash of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "serve.lock"
    }


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


@pytest.mark.parametrize(
    "harm",
    ["a flipped bit", "swapped pages", "cut off", "untrue", "no database", "another's", "none"],
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
        if harm == "another's":
            sqlite3.connect(copy).execute("CREATE TABLE t (x)").connection.close()
    before = state_of(data_dir)
    line = refused(restore(data_dir, copy, "--replace"))
    assert str(copy) in line
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
    fill(data_dir / "ledger.db", 20_000, 1, KEYS["ordered"])
    chance = random.Random(SEED)
    for _ in range(8):
        kill_within(chance.uniform(0.2, 1.2), "backup", "--data-dir", data_dir, "--force", copy)
        if copy.exists():
            assert (
                told(restore(tmp_path / "whole", copy, "--replace", "--json"))["orders"] == 20_000
            )
    assert told(back_up(data_dir, copy, "--force", "--json"))["orders"] == 20_000
    for _ in range(8):
        kill_within(chance.uniform(0.2, 1.2), "restore", "--data-dir", other, "--replace", copy)
        if (other / "ledger.db").exists():
            held = told(back_up(other, tmp_path / "looked.db", "--force", "--json"))
            assert held["orders"] == 20_000
    assert told(restore(other, copy, "--replace", "--json"))["orders"] == 20_000
    assert not list(other.glob("*-restoring"))


def kill_within(seconds: float, *words: object) -> None:
    process = subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.long  # not for its time: it needs strace, which a developer's machine may lack
def test_a_backup_gets_its_name_after_it_is_on_the_disk_and_the_name_is_synced(
    tmp_path: Path,
) -> None:
    History(tmp_path / "data")
    log, copy = tmp_path / "calls", tmp_path / "backup.db"
    calls = "fsync,fdatasync,rename,renameat,renameat2,pwrite64"
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
    (named,) = (n for n, line in enumerate(lines) if "rename" in line and str(copy) in line)
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
