"""An answer leaves after its sale is durable, never before; what cannot be written is not sold."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.faults.counter import Counter, look, open_counter, purchase
from tests.faults.disk import Disk, broken, mounted, no_room
from tests.harness import SEED, note
from workers.domain import Outcome, Purchase, Sold, Unsettled
from workers.ledgers.sqlite import SqliteLedger

CHECKPOINT_PAGES = 60  # of the log: small, so that a few dozen batches meet several checkpoints
BATCHES = 60


@pytest.fixture(autouse=True)
def _frequent_checkpoints() -> Iterator[None]:
    def hook(connection: apsw.Connection) -> None:
        connection.wal_autocheckpoint(CHECKPOINT_PAGES)

    apsw.connection_hooks.append(hook)
    yield
    apsw.connection_hooks.remove(hook)


class SlowDisk(Disk):
    """A sync of the log takes until the test says so."""

    def __init__(self) -> None:
        self.slow = False
        self.reached, self.release = threading.Event(), threading.Event()

    def syncing(self, suffix: str) -> None:
        if self.slow and suffix == ".db-wal":
            self.reached.set()
            self.release.wait()


def test_no_answer_leaves_before_its_sale_is_on_the_disk(tmp_path: Path) -> None:
    disk = SlowDisk()
    with mounted(disk), open_counter(tmp_path) as counter:
        wanted = purchase(3)
        counter.send(wanted)
        disk.slow = True
        working = threading.Thread(target=counter.work)
        working.start()
        try:
            assert disk.reached.wait(10)
            assert not counter.answered
            assert look(counter.ledger_path, [wanted.id])[1] == 0
        finally:
            disk.release.set()
            working.join()
        assert [type(outcome) for outcome in counter.outcomes()] == [Sold]
    assert look(counter.ledger_path, [wanted.id])[1] == 1


class ForgetfulDisk(Disk):
    """Remembers what a disk must still have when the plug is pulled: what was synced, no more."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.confirmed: list[str] = []  # orders whose answer has left, or leaves now
        self.moments: list[tuple[dict[str, bytes], list[str]]] = []

    def synced(self, suffix: str, read: object) -> None:
        assert callable(read)
        self.files[suffix] = read()
        self.remember()

    def deleted(self, suffix: str) -> None:
        self.files.pop(suffix, None)

    def answering(self, outcomes: list[Outcome]) -> None:
        self.confirmed += [o.order.id for o in outcomes if isinstance(o, Sold)]
        self.remember()

    def remember(self) -> None:
        self.moments.append((dict(self.files), list(self.confirmed)))


def test_the_plug_may_be_pulled_at_any_moment(tmp_path: Path) -> None:
    """All that was not synced is lost then: every order whose answer had left is there."""
    chance = random.Random(SEED)
    disk = ForgetfulDisk()
    with mounted(disk), open_counter(tmp_path, disk.answering) as counter:
        for _ in range(BATCHES):
            wanted = [purchase(chance.randint(1, 20)) for _ in range(chance.randint(1, 8))]
            assert all(isinstance(outcome, Sold) for outcome in counter.settle(*wanted))
    moments = [moment for moment in disk.moments if moment[1]]
    note(f"the plug was pulled {len(moments)} times among {len(disk.confirmed)} orders")
    assert len({files[".db"] for files, _ in moments}) > 3, "too few checkpoints"
    for number, (files, confirmed) in enumerate(moments):
        assert recovered(tmp_path / f"{number}", files, confirmed) == len(confirmed)


def recovered(folder: Path, files: dict[str, bytes], order_ids: list[str]) -> int:
    """Count the orders in a ledger that is started on what a disk still has."""
    folder.mkdir()
    for suffix, content in files.items():
        (folder / f"ledger{suffix}").write_bytes(content)
    SqliteLedger(folder / "ledger.db").close()
    return look(folder / "ledger.db", order_ids)[1]


class CrashedDisk(ForgetfulDisk):
    """Keeps a copy of what is written when a sync begins: what a killed process leaves."""

    def __init__(self, ledger: Path, copies: Path) -> None:
        super().__init__()
        self._ledger, self._copies = ledger, copies
        self.crashes = False

    def syncing(self, suffix: str) -> None:
        if self.crashes and suffix == ".db-wal":
            self.crashes = False
            for file in self._ledger.glob("ledger.db*"):
                shutil.copy(file, self._copies)
            self.synced_before = dict(self.files)


def test_what_a_killed_worker_had_written_is_synced_before_anybody_is_told(tmp_path: Path) -> None:
    """The next worker finds the order and has nothing to write; still its answer waits for a sync.

    The worker is killed after it wrote the order and before the sync; then the plug is pulled.
    """
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    wanted = purchase(2)
    disk = CrashedDisk(first, second)
    with mounted(disk), open_counter(first) as counter:
        disk.crashes = True
        counter.settle(wanted)

    (second / "ledger.db-shm").unlink()  # it goes with the last process
    after = ForgetfulDisk()
    after.files = disk.synced_before
    with mounted(after), open_counter(second, after.answering) as counter:
        (sold,) = counter.settle(wanted)
    assert isinstance(sold, Sold)
    assert sold.replayed
    files = next(files for files, confirmed in after.moments if wanted.id in confirmed)
    assert recovered(tmp_path / "third", files, [wanted.id]) == 1


class FailingDisk(Disk):
    """Fails once, at the n-th step from now, with what it is given."""

    def __init__(self) -> None:
        self.steps_left = 0
        self.error = no_room()

    def fail_at(self, step: int, error: Exception) -> None:
        self.steps_left, self.error = step, error

    def writing(self, suffix: str) -> None:  # noqa: ARG002
        self._step()

    def syncing(self, suffix: str) -> None:  # noqa: ARG002
        self._step()

    def _step(self) -> None:
        if self.steps_left:
            self.steps_left -= 1
            if not self.steps_left:
                raise self.error


@pytest.mark.parametrize("error", [no_room, broken])
def test_whichever_write_fails_a_batch_is_sold_wholly_or_not_at_all(
    tmp_path: Path, error: object
) -> None:
    assert callable(error)
    disk = FailingDisk()
    failures = 0
    with mounted(disk), open_counter(tmp_path) as counter:
        for step in range(1, 1_000):
            wanted = [purchase(2) for _ in range(3)]
            disk.fail_at(step, error())
            failed = check_one_failure(counter, wanted)
            disk.fail_at(0, error())
            if not failed:
                break
            failures += 1
            check_asking_again_sells_them_once(counter, wanted)
    note(f"{failures} different writes failed")
    assert failures >= 5


def check_one_failure(counter: Counter, wanted: list[Purchase]) -> bool:
    """Buy; say whether it failed. Nobody is told more than is true, and nothing is half done."""
    ids = [purchase.id for purchase in wanted]
    before = look(counter.ledger_path, [])[0].sold
    outcomes = counter.settle(*wanted)
    audit, there = look(counter.ledger_path, ids)
    assert (audit.sold - before, there) in [(0, 0), (2 * len(wanted), len(wanted))]
    if all(isinstance(outcome, Sold) for outcome in outcomes):
        assert there == len(wanted)
        return False
    assert all(isinstance(outcome, Unsettled) for outcome in outcomes)
    return True


def check_asking_again_sells_them_once(counter: Counter, wanted: list[Purchase]) -> None:
    ids = [purchase.id for purchase in wanted]
    before, there = look(counter.ledger_path, ids)
    again = counter.settle(*wanted)
    assert all(isinstance(o, Sold) and o.replayed == bool(there) for o in again), again
    after, _ = look(counter.ledger_path, ids)
    assert after.sold == before.sold + 2 * (len(wanted) - there)
