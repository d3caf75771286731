"""A service that cannot work says why in one line and ends; one that can keeps its data private."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.harness import Soldout, alive, free_port, serving, wait_until
from workers.data_dir import sole_use_of
from workers.errors import BootFailed
from workers.ledgers.sqlite_file import SCHEMA_VERSION, open_file

GIVE_UP_SECONDS = 20
UNIX_PATH_BYTES = 107  # what the address of a Unix socket holds


def serve(service: Soldout) -> subprocess.CompletedProcess[str]:
    """Run a service that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "service", "serve"],
        env=service.env,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_SECONDS,
        check=False,
    )


def test_a_second_service_on_the_same_data_is_refused_and_the_first_goes_on(
    soldout: Soldout,
) -> None:
    soldout.put_event("single", capacity=2)
    second = serve(Soldout(soldout.data_dir))
    assert (second.returncode, second.stderr.count("\n")) == (1, 1), second.stderr
    assert (
        second.stderr
        == f"soldout: another soldout already serves from {soldout.data_dir}; stop it first\n"
    )
    assert soldout.buy("single").status_code == 201


def test_after_the_first_was_killed_the_second_may_start_at_once(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        first.put_event("gala", capacity=2)
        order = first.buy("gala").json()
        first.kill()
        with serving(tmp_path / "data") as second:
            assert second.audit("gala")["orders"] == 1
            assert second.buy("gala").json()["tickets"][0]["number"] == 2
            assert order["tickets"][0]["number"] == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BIND", "nowhere"),
        ("BIND", "127.0.0.1:99999"),
        ("LOCK", "none"),
        ("WORKERS", "0"),
        ("WORKERS", "two"),
        ("WEB_PROCESSES", "65"),
        ("ADMIN_KEY", "guess-me"),
        ("WAIT_SECONDS", "-1"),
        ("WAIT_SECONDS", "31"),
        ("DEADLINE_SECONDS", "nan"),
        ("BATCH_MAX", "0"),
        ("MAX_IN_FLIGHT", "1e9"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line_that_names_it(
    tmp_path: Path, variable: str, value: str
) -> None:
    ended = serve(Soldout(tmp_path / "data", None, **{variable.lower(): value}))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert ended.stderr.startswith(f"soldout: SOLDOUT_{variable}")
    assert not (tmp_path / "data").exists()
    if variable == "ADMIN_KEY":
        assert value not in ended.stderr


def test_a_misspelled_setting_is_told_once_with_the_name_that_is_meant(tmp_path: Path) -> None:
    with serving(tmp_path / "data", wokers=3, url="http://127.0.0.1:1") as service:
        told = [line for line in service.log().splitlines() if "is no setting" in line]
    assert len(told) == 1
    assert "_WOKERS is no setting and is ignored; is SOLDOUT_WORKERS meant?" in told[0]


def garbage(path: Path) -> str:
    path.write_bytes(b"not a database, and longer than a header of one\n" * 100)
    return "file is not a database"


def another_database(path: Path) -> str:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE notes (text)")
    return "not a soldout ledger"


def set_version(path: Path, version: int) -> None:
    with closing(open_file(path, apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def newer_schema(path: Path) -> str:
    with serving(path.parent) as service:
        service.put_event("gala", capacity=1)
    set_version(path, SCHEMA_VERSION + 1)
    return f"has schema version {SCHEMA_VERSION + 1}; this soldout knows {SCHEMA_VERSION}"


def directory(path: Path) -> str:
    path.mkdir()
    return "unable to open database file"


@pytest.mark.parametrize("make", [garbage, another_database, newer_schema, directory])
def test_a_ledger_that_cannot_be_used_ends_the_service_with_the_reason(
    tmp_path: Path, make: object
) -> None:
    assert callable(make)
    ledger = tmp_path / "data" / "ledger.db"
    ledger.parent.mkdir()
    reason = make(ledger)
    before = ledger.read_bytes() if ledger.is_file() else b""
    ended = serve(Soldout(tmp_path / "data"))
    assert ended.returncode == 1, ended.stderr
    assert str(ledger) in ended.stderr
    assert 1 <= ended.stderr.count(reason) <= 2, (
        ended.stderr
    )  # once for each worker: none was started again
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("cannot start; the reason stands above") == 1
    assert (ledger.read_bytes() if ledger.is_file() else b"") == before


def test_a_ledger_that_breaks_while_it_serves_ends_the_service_too(tmp_path: Path) -> None:
    """A new worker finds it; starting others in its place for ever would help nobody."""
    with serving(tmp_path / "data") as service:
        set_version(tmp_path / "data" / "ledger.db", SCHEMA_VERSION + 1)
        family = [pid for pids in service.family().values() for pid in pids]
        os.kill(service.family()["worker"][0], signal.SIGKILL)
        assert service.process is not None
        assert service.process.wait(GIVE_UP_SECONDS) == 1
        wait_until(lambda: not any(map(alive, family)), 1, "no orphans")
    assert "cannot start; the reason stands above" in service.log()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_another_program_has_ends_the_start_with_the_reason(
    tmp_path: Path, taken_port: int
) -> None:
    ended = serve(Soldout(tmp_path / "data", taken_port))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert ended.stderr.startswith(f"soldout: cannot listen on 127.0.0.1:{taken_port}: ")
    assert ended.stderr.endswith("; SOLDOUT_BIND=127.0.0.1:9000 chooses another\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("found", [[], ["serve.lock"], ["admin-key"]])
def test_a_refused_start_leaves_what_it_found_and_nothing_else(
    tmp_path: Path, found: list[str], taken_port: int
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in found:
        (data / name).write_text("as it was")
    no_key_file = tmp_path / "no-such-key"
    for refused in (Soldout(data, taken_port), Soldout(data, admin_key_file=no_key_file)):
        del refused.env["SOLDOUT_ADMIN_KEY"]
        assert serve(refused).returncode in (1, 2)
        assert [path.name for path in data.iterdir()] == found
    (tmp_path / "mounts").mkdir()
    assert serve(Soldout(tmp_path / "mounts" / "a" / "b", taken_port)).returncode == 1
    assert list((tmp_path / "mounts").iterdir()) == []


def test_a_lock_that_a_refused_start_has_just_removed_lets_no_two_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes after another start has opened it, and before that one has locked it."""
    lock, flock = tmp_path / "data" / "serve.lock", fcntl.flock

    def late(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        lock.unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with sole_use_of(lock.parent):
        with pytest.raises(BootFailed, match="already serves"), sole_use_of(lock.parent):
            pass
        assert lock.exists()
    assert lock.exists(), "what was not refused keeps it"


@pytest.mark.parametrize("place", ["/proc/no/such/place", "/dev/null/data"])
def test_a_data_directory_that_cannot_be_made_ends_the_start_with_the_reason(place: str) -> None:
    ended = serve(Soldout(Path(place), free_port()))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert ended.stderr.startswith(f"soldout: the data directory {place} cannot be used")


def test_data_and_sockets_are_private_whatever_the_umask(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    data.chmod(0o777)
    service = Soldout(data)
    del service.env["SOLDOUT_ADMIN_KEY"]
    before = os.umask(0)
    try:
        service.start()
        found = [data, *data.rglob("*")]
        assert {"ledger.db", "ledger.db-wal", "admin-key", "run", "hearts", "worker-1.sock"} <= {
            path.name for path in found
        }
        open_to_others = [p for p in found if p.lstat().st_mode & 0o077]
        assert open_to_others == []
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "admin-key").stat().st_mode) == 0o600
    finally:
        os.umask(before)
        if service.process is not None:
            service.terminate()


def test_it_serves_from_a_directory_deeper_than_a_sockets_address_is_long(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["deep" * 10] * 4)
    assert len(str(deep).encode()) > UNIX_PATH_BYTES
    deep.mkdir(parents=True)
    with serving(deep / "data") as service:
        service.put_event("gala", capacity=2)
        assert service.buy("gala", 2).status_code == 201
        os.kill(service.family()["worker"][0], signal.SIGKILL)
        assert service.buy("gala", 1).status_code == 409


def test_processes_carry_titles_as_an_operator_expects(soldout: Soldout) -> None:
    family = soldout.family()
    titles = {title(pid) for pids in family.values() for pid in pids} | {title(soldout.pid)}
    assert titles == {
        "soldout: supervisor",
        "soldout: worker 1",
        "soldout: worker 2",
        "soldout: gunicorn",
        "soldout: web 1",
        "soldout: web 2",
    }


def title(pid: int) -> str:
    ps = ["ps", "-o", "args=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=True).stdout.strip()
