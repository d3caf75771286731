"""The embedded ledger's files, damaged in every way we know: refused or harmless, never sold from.

Small enough that each of its pages is damaged, large enough that trees and indexes have several.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest

from tests.fuzz.damaged import NAME, Damage, History, campaign, try_out
from tests.harness import SEED, STOP_SECONDS, Soldout, ended, note, serving, wait_until
from workers.ledgers import sqlite, sqlite_reader
from workers.ledgers.sqlite_seen import Seen

PAGE = 4_096
FLIPS_A_PAGE = 6
RANDOM_DAMAGES = 150
WAL, SHM, SEEN = (f"{NAME}-{end}" for end in ("wal", "shm", "seen"))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory: thousands of ledgers are opened here, and none has to outlive a power failure."""
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def closed(folder: Path) -> History:
    """A ledger that was left in order: all is in the file."""
    return History(folder / "closed")


@pytest.fixture(scope="module")
def crashed(folder: Path) -> History:
    """A ledger that was left by a crash: the newest is in the log alone."""
    return History(folder / "crashed", crashed=True)


@pytest.fixture(scope="module")
def other(folder: Path) -> History:
    """Another ledger, left by a crash."""
    return History(folder / "other", crashed=True, seed=1)


@pytest.fixture
def chance() -> random.Random:
    return random.Random(SEED)


def rewritten(name: str, change: Callable[[bytearray], object]) -> Damage:
    """Return the damage that changes the bytes of one of the files."""

    def damage(ledger: Path) -> None:
        data = bytearray(ledger.with_name(name).read_bytes())
        change(data)
        ledger.with_name(name).write_bytes(data)

    return damage


def flip(at: int, bit: int) -> Callable[[bytearray], object]:
    def change(data: bytearray) -> None:
        data[at] ^= 1 << bit

    return change


def swap(one: int, two: int, size: int) -> Callable[[bytearray], object]:
    def change(data: bytearray) -> None:
        a, b = slice(one * size, one * size + size), slice(two * size, two * size + size)
        data[a], data[b] = data[b], data[a]

    return change


def cut(at: int) -> Callable[[bytearray], object]:
    return lambda data: data.__delitem__(slice(at, None))


def overwrite(page: int, content: bytes) -> Callable[[bytearray], object]:
    return lambda data: data.__setitem__(slice(page * PAGE, page * PAGE + PAGE), content)


def flips(history: History, name: str, chance: random.Random) -> Iterator[tuple[str, Damage]]:
    """Flip bits in every page of a file."""
    size = len(history.kept[name])
    for start in range(0, size, PAGE):
        for _ in range(FLIPS_A_PAGE):
            at, bit = chance.randrange(start, min(start + PAGE, size)), chance.randrange(8)
            yield f"bit {bit} of byte {at} of {name}", rewritten(name, flip(at, bit))


def without_shm(damages: Iterator[tuple[str, Damage]]) -> Iterator[tuple[str, Damage]]:
    """As after a crash of the machine: shared memory is gone, the log is read anew."""
    for name, damage in damages:
        yield name, lambda ledger, damage=damage: (ledger.with_name(SHM).unlink(), damage(ledger))  # type: ignore[misc]


# --- nothing is damaged ---------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_a_sound_ledger_sells_on(
    folder: Path, closed: History, crashed: History, first: bool
) -> None:
    for history in (closed, crashed):
        path = history.put_down(folder / "trial")
        assert try_out(history, path, first=first) == "harmless"


# --- the file -------------------------------------------------------------------------------------


def test_a_flipped_bit_on_any_page_is_found_at_the_start(
    folder: Path, closed: History, chance: random.Random
) -> None:
    found = campaign(closed, folder / "trial", flips(closed, NAME, chance))
    assert found.keys() == {"at the start"}


def test_a_bit_that_flips_later_is_found_when_its_page_is_read(
    folder: Path, closed: History, chance: random.Random
) -> None:
    """By a worker that does not look through the ledger, as one that replaces another."""
    found = campaign(closed, folder / "trial", flips(closed, NAME, chance), first=False)
    assert found["at a touch"] > found["harmless"]


def test_a_file_that_was_cut_off_anywhere_is_found_at_the_start(
    folder: Path, closed: History, chance: random.Random
) -> None:
    size = len(closed.kept[NAME])
    points = [0, 1, 15, 16, 99, 100, *range(512, size, 512)]
    points += chance.sample(range(size), RANDOM_DAMAGES)
    damages = ((f"cut at {at}", rewritten(NAME, cut(at))) for at in points)
    assert campaign(closed, folder / "trial", damages).keys() == {"at the start"}


def test_pages_that_changed_places_are_found_at_the_start(
    folder: Path, closed: History, chance: random.Random
) -> None:
    pages = len(closed.kept[NAME]) // PAGE
    pairs = [(one, two) for one in range(pages) for two in range(one)]
    damages = ((f"{pair}", rewritten(NAME, swap(*pair, PAGE))) for pair in pairs)
    assert campaign(closed, folder / "trial", damages).keys() == {"at the start"}


@pytest.mark.parametrize("content", [b"\0" * PAGE, b"\xff" * PAGE, b"soldout " * (PAGE // 8)])
def test_a_page_that_was_overwritten_is_found_at_the_start(
    folder: Path, closed: History, content: bytes
) -> None:
    pages = range(len(closed.kept[NAME]) // PAGE)
    damages = ((f"page {p}", rewritten(NAME, overwrite(p, content))) for p in pages)
    assert campaign(closed, folder / "trial", damages).keys() == {"at the start"}


def test_a_page_of_yesterday_is_found_at_the_start(folder: Path, closed: History) -> None:
    """A write that the disk lost: the page is sound, and older than the others."""
    today = closed.kept[NAME]
    pages = {
        page: closed.yesterday[page * PAGE :][:PAGE]
        for page in range(len(closed.yesterday) // PAGE)
        if closed.yesterday[page * PAGE :][:PAGE] != today[page * PAGE :][:PAGE]
    }
    assert len(pages) > 5
    damages = ((f"page {n}", rewritten(NAME, overwrite(n, old))) for n, old in pages.items())
    assert campaign(closed, folder / "trial", damages).keys() == {"at the start"}


def test_pages_of_another_ledger_are_found_at_the_start_or_by_the_audit(
    folder: Path, closed: History
) -> None:
    strange = History(folder / "strange", seed=2).kept[NAME]
    pages = range(min(len(strange), len(closed.kept[NAME])) // PAGE)
    damages = (
        (f"page {p}", rewritten(NAME, overwrite(p, strange[p * PAGE :][:PAGE])))
        for p in pages
        if strange[p * PAGE :][:PAGE] != closed.kept[NAME][p * PAGE :][:PAGE]
    )
    found = campaign(closed, folder / "trial", damages)
    assert found.keys() == {"at the start", "at a touch"}


# --- the log --------------------------------------------------------------------------------------


def test_a_log_with_a_flipped_bit_is_refused_unless_nothing_is_lost(
    folder: Path, crashed: History, chance: random.Random
) -> None:
    """SQLite would end at the flipped bit, and forget what was confirmed after it."""
    every = list(flips(crashed, WAL, chance))
    damages = without_shm(iter(chance.sample(every, RANDOM_DAMAGES)))
    assert campaign(crashed, folder / "trial", damages)["at the start"] > RANDOM_DAMAGES / 2


def test_a_log_that_was_cut_off_is_refused_unless_nothing_is_lost(
    folder: Path, crashed: History, chance: random.Random
) -> None:
    points = [0, 1, 31, 32, *chance.sample(range(len(crashed.kept[WAL])), RANDOM_DAMAGES)]
    damages = without_shm((f"cut at {at}", rewritten(WAL, cut(at))) for at in points)
    assert campaign(crashed, folder / "trial", damages)["at the start"] > RANDOM_DAMAGES / 2


def test_a_log_whose_frames_changed_places_is_refused(
    folder: Path, crashed: History, chance: random.Random
) -> None:
    frames = len(crashed.kept[WAL]) // (PAGE + 24) - 2
    pairs = [(chance.randrange(frames), chance.randrange(frames)) for _ in range(RANDOM_DAMAGES)]
    damages = without_shm((f"{p}", rewritten(WAL, swap(*p, PAGE + 24))) for p in pairs)
    assert campaign(crashed, folder / "trial", damages)["at the start"] > RANDOM_DAMAGES / 2


def test_a_log_that_is_gone_or_another_ledgers_or_yesterdays_is_refused_and_kept(
    folder: Path, crashed: History, other: History
) -> None:
    for log in (None, other.kept[WAL], other.kept[WAL][:-50_000], crashed.kept[WAL][:-50_000]):
        path = crashed.put_down(folder / "trial")
        path.with_name(SHM).unlink()
        path.with_name(WAL).unlink()
        if log is not None:
            path.with_name(WAL).write_bytes(log)
        assert try_out(crashed, path) == "at the start"
        assert path.read_bytes() == crashed.kept[NAME], "it is left as it was"
        assert log is None or path.with_name(WAL).read_bytes() == log


def test_shared_memory_that_is_damaged_is_made_again(
    folder: Path, crashed: History, chance: random.Random
) -> None:
    size = len(crashed.kept[SHM])
    damages = [
        *chance.sample(list(flips(crashed, SHM, chance)), 25),
        *((f"cut at {at}", rewritten(SHM, cut(at))) for at in chance.sample(range(size), 10)),
        ("garbage", rewritten(SHM, lambda data: data.__setitem__(slice(None), b"\xa5" * size))),
    ]
    assert campaign(crashed, folder / "trial", damages).keys() == {"harmless"}


# --- whole files ----------------------------------------------------------------------------------


def empty(ledger: Path) -> None:
    ledger.write_bytes(b"")


def gone(ledger: Path) -> None:
    ledger.unlink()


def directory(ledger: Path) -> None:
    ledger.unlink()
    ledger.mkdir()


def dangling(ledger: Path) -> None:
    ledger.unlink()
    ledger.symlink_to(ledger.with_name("nowhere") / "else")


def another_programs(ledger: Path) -> None:
    ledger.unlink()
    connection = apsw.Connection(str(ledger))
    connection.execute("CREATE TABLE ledger (id, fence); INSERT INTO ledger VALUES (1, 2)")
    connection.close()


def unchecked(ledger: Path) -> None:
    """The ledger as a tool rewrites it that knows nothing of checksums."""
    connection = apsw.Connection(str(ledger), vfs="unix")
    connection.execute("UPDATE ticket_types SET sold = sold - 1, remaining = remaining + 1")
    connection.close()


@pytest.mark.parametrize("damage", [empty, gone, directory, dangling, another_programs, unchecked])
def test_what_is_not_the_ledger_is_refused(folder: Path, closed: History, damage: Damage) -> None:
    assert campaign(closed, folder / "trial", [("", damage)]).keys() == {"at the start"}


def test_another_ledger_or_an_older_copy_is_refused(folder: Path, closed: History) -> None:
    for content in (closed.yesterday, History(folder / "stranger", seed=3).kept[NAME]):
        path = closed.put_down(folder / "trial")
        path.write_bytes(content)
        assert try_out(closed, path) == "at the start"


def test_the_note_of_what_was_seen_may_be_damaged_and_sells_nothing_wrong(
    folder: Path, crashed: History, chance: random.Random
) -> None:
    size = len(crashed.kept[SEEN])
    damages = [
        *((f"{at}", rewritten(SEEN, flip(at, chance.randrange(8)))) for at in range(size)),
        *((f"cut at {at}", rewritten(SEEN, cut(at))) for at in range(size)),
    ]
    found = campaign(crashed, folder / "trial", damages)
    assert found["at the start"] > size
    assert found.keys() <= {"at the start", "harmless"}


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o200])
@pytest.mark.parametrize("what", [NAME, SEEN, "."])
def test_without_permission_it_is_refused_and_says_what_is_missing(
    closed: History, what: str, mode: int
) -> None:
    """As somebody who is not root, whom permissions do not stop."""
    nobody = 65_534
    folder = Path("/tmp") / f"soldout-fuzz-{os.getpid()}"  # pytest's own is closed to others
    path = closed.put_down(folder)
    try:
        for place in (folder, *folder.iterdir()):
            os.chown(place, nobody, nobody)
        (folder / what).chmod(mode)
        child = os.fork()
        if child == 0:
            os.setgid(nobody)
            os.setuid(nobody)
            os._exit({"at the start": 7, "at a touch": 8, "harmless": 9}[try_out(closed, path)])
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
    finally:
        shutil.rmtree(folder)


# --- and if we had neither checksums nor the note -------------------------------------------------


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A ledger whose checksums are not compared, and that notes nothing of what was seen."""

    def ignore_checksums(connection: apsw.Connection) -> None:
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018 - reads the file
        except apsw.Error:
            return
        connection.execute("PRAGMA checksum_verification = OFF")

    for module in (sqlite, sqlite_reader):
        monkeypatch.setattr(module, "check_schema", lambda *_: None)
    monkeypatch.setattr(Seen, "check", lambda *_: None)
    monkeypatch.setattr(Seen, "note", lambda *_: None)
    apsw.connection_hooks.append(ignore_checksums)
    yield
    apsw.connection_hooks.remove(ignore_checksums)


def test_without_them_a_flipped_bit_would_sell_wrongly_and_these_tests_would_see_it(
    folder: Path, closed: History, chance: random.Random, unguarded: None
) -> None:
    with pytest.raises(AssertionError) as wrong:
        campaign(closed, folder / "trial", flips(closed, NAME, chance), first=False)
    note(str(wrong.value).splitlines()[0])


def test_without_them_a_cut_log_would_sell_again_and_these_tests_would_see_it(
    folder: Path, crashed: History, unguarded: None
) -> None:
    damage = rewritten(WAL, cut(len(crashed.kept[WAL]) // 2))
    with pytest.raises(AssertionError, match=r"another order|sold again"):
        campaign(crashed, folder / "trial", without_shm(iter([("cut", damage)])))


# --- a whole service ------------------------------------------------------------------------------


def test_a_service_whose_log_was_removed_after_a_crash_says_so_and_does_not_start(
    tmp_path: Path,
) -> None:
    """Somebody tidied up: without the log, SQLite would sell again what was confirmed."""
    with serving(tmp_path / "data") as service:
        service.put_event("gala", capacity=9)
        assert service.buy("gala", 3).status_code == 201
        service.kill()
    wait_until(lambda: not still_written(service), STOP_SECONDS, "all have ended")
    for name in (WAL, SHM):
        (service.data_dir / name).unlink()
    with ended(Soldout(service.data_dir)) as again:
        process = again.launch().process
        assert process is not None
        assert process.wait(STOP_SECONDS) == 1
        said = again.log()
    assert "Traceback" not in said
    refusals = {line for line in said.splitlines() if line.startswith("soldout: the ledger ")}
    assert len(refusals) == 1, said
    assert str(service.data_dir / SEEN) in refusals.pop()


def still_written(service: Soldout) -> bool:
    """Say whether a process of a killed service lives: all hold its directory's lock."""
    with (service.data_dir / "serve.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
