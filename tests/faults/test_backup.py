"""A backup is made while the service sells, and is whole; one that is put back is not mistaken."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.crowd import crowding, until
from tests.harness import START_SECONDS, STOP_SECONDS, Soldout, ended, serving


def back_up(data_dir: Path, copy: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers.backup", str(data_dir), str(copy)],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def test_a_backup_made_in_a_crowd_is_whole_and_private_and_sells_on(
    service: Soldout, stadium: str, tmp_path: Path
) -> None:
    copy = tmp_path / "backup.db"
    with crowding(service, stadium) as crowd:
        until(lambda: crowd.sold() > 100, "it sells")
        done = back_up(service.data_dir, copy)
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold, "it sells on")
        crowd.stop()
    assert (done.returncode, done.stderr) == (0, "")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    data_dir = tmp_path / "restored"
    data_dir.mkdir()
    shutil.copy(copy, data_dir / "ledger.db")
    with serving(data_dir) as restored:
        before = restored.audit(stadium)["orders"]
        assert before >= 100
        assert restored.buy(stadium).status_code == 201
        assert restored.audit(stadium)["orders"] == before + 1


def test_an_older_ledger_in_its_place_is_refused_until_that_is_accepted(tmp_path: Path) -> None:
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
        (line,) = {line for line in service.log().splitlines() if "older than it was" in line}
        assert line.endswith(f"or remove {data_dir / 'ledger.db-seen'} to sell from what is there")
    (data_dir / "ledger.db-seen").unlink()
    with serving(data_dir) as service:
        assert service.audit("gala")["sold"] == 2


@pytest.mark.parametrize("there", ["a copy", "no ledger"])
def test_a_backup_that_cannot_be_made_says_why_and_overwrites_nothing(
    soldout: Soldout, tmp_path: Path, there: str
) -> None:
    copy = tmp_path / "backup.db"
    if there == "a copy":
        copy.write_text("precious")
    data_dir = soldout.data_dir if there == "a copy" else tmp_path / "nothing"
    done = back_up(data_dir, copy)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("soldout: ")
    assert (copy.read_text() if copy.exists() else "") == ("precious" if there == "a copy" else "")
    assert copy.exists() == (there == "a copy")


def test_a_ledger_that_lost_what_was_seen_of_it_is_not_copied_as_if_it_were_whole(
    tmp_path: Path,
) -> None:
    """Restored into an empty directory, such a copy would sell again what was confirmed."""
    data_dir, copy = tmp_path / "data", tmp_path / "backup.db"
    with serving(data_dir) as service:
        service.put_event("gala", capacity=9)
    seen = data_dir / "ledger.db-seen"
    ledger_id, token = seen.read_text().split()
    seen.write_text(f"{ledger_id} {int(token) + 1:020}\n")
    done = back_up(data_dir, copy)
    assert (done.returncode, "older than it was" in done.stderr) == (1, True), done.stderr
    assert not copy.exists()
