"""What processes of a host remember of a ledger in Redis, by themselves and in their files.

A process that asks says what it looks for, and learns what is there only if nothing was missing.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from workers.shards.memory import Mark, Memory
from workers.shards.notes import Notes

SHARD = 1


def memory_in(folder: Path) -> Memory:
    """Return the memory of one process of a host."""
    return Memory(Notes(folder))


def learn(memory: Memory, token: int, epoch: str) -> None:
    """Ask Redis, which has all that this process looks for, and one batch as the newest."""
    memory.learn(SHARD, Mark(token, epoch), memory.marks(SHARD))


def knows(memory: Memory) -> list[str]:
    return [str(mark) for mark in memory.marks(SHARD)]


def test_one_batch_stands_for_all_before_it(tmp_path: Path) -> None:
    memory = memory_in(tmp_path / "seen")
    learn(memory, 1, "e")
    learn(memory, 2, "e")
    learn(memory, 3, "f")
    assert knows(memory) == ["3 f"]
    memory.flush()
    assert knows(memory_in(tmp_path / "seen")) == ["3 f"]


def test_an_answer_that_comes_late_from_another_history_is_not_forgotten() -> None:
    """A reader has met the replica that took over, before a sale on the old master is answered."""
    memory = Memory(Notes(None))
    learn(memory, 10, "old")
    asked = memory.marks(SHARD)
    learn(memory, 11, "new")
    memory.learn(SHARD, Mark(12, "old"), asked)
    assert knows(memory) == ["11 new", "12 old"]
    assert memory.wanted(memory.marks(SHARD)) == "11 new,12 old"


def test_what_was_found_is_not_forgotten_for_something_older() -> None:
    """A replica has a batch, but not yet that it was confirmed."""
    memory = Memory(Notes(None))
    learn(memory, 10, "e")
    learn(memory, 7, "d")
    assert knows(memory) == ["10 e"]


def test_a_plain_number_of_an_earlier_version_is_looked_for_if_it_is_ones_own(
    tmp_path: Path,
) -> None:
    Notes(tmp_path).write("shard-01", "12")
    memory = memory_in(tmp_path)
    assert knows(memory) == ["12 "]
    memory.learn(SHARD, Mark.read(b"20"), memory.marks(SHARD))
    assert knows(memory) == ["12 "]
    learn(memory, 21, "e")
    assert knows(memory) == ["21 e"]


def test_who_writes_takes_over_what_another_process_has_seen(tmp_path: Path) -> None:
    """It may have seen what came back older lacks, and be gone."""
    one, other = memory_in(tmp_path), memory_in(tmp_path)
    for memory in (one, other):
        learn(memory, 10, "e")
    learn(other, 12, "e")
    learn(one, 11, "f")
    other.flush()
    one.flush()
    assert knows(one) == ["11 f", "12 e"]
    assert knows(memory_in(tmp_path)) == ["11 f", "12 e"]


def test_who_leaves_with_old_knowledge_takes_nothing_away(tmp_path: Path) -> None:
    one, old = memory_in(tmp_path), memory_in(tmp_path)
    for memory in (old, one):
        learn(memory, 10, "e")
    learn(one, 15, "f")
    one.flush()
    old.flush()
    assert knows(memory_in(tmp_path)) == ["10 e", "15 f"]
    learn(one, 16, "f")
    one.flush()
    assert knows(one) == ["10 e", "16 f"]
    learn(one, 17, "f")
    one.flush()
    assert knows(memory_in(tmp_path)) == ["17 f"]


def test_who_slept_takes_over_an_epoch_that_it_has_slept_through(tmp_path: Path) -> None:
    sleeper, other = memory_in(tmp_path), memory_in(tmp_path)
    learn(sleeper, 8, "d")
    learn(other, 8, "d")
    learn(other, 12, "e")
    other.flush()
    learn(sleeper, 9, "f")
    sleeper.flush()
    assert knows(sleeper) == ["9 f", "12 e"]


def test_nobody_waits_for_a_process_that_sleeps_while_it_writes(tmp_path: Path) -> None:
    memory = memory_in(tmp_path / "seen")
    learn(memory, 1, "e")
    memory.flush()
    with Notes(tmp_path / "seen").alone() as alone:
        assert alone
        learn(memory, 2, "e")
        memory.flush()
    assert knows(memory_in(tmp_path / "seen")) == ["1 e"]
    memory.flush()
    assert knows(memory_in(tmp_path / "seen")) == ["2 e"]


@pytest.mark.parametrize("text", ["", "garbage", "-1 e", "12 e_e", "\xff"])
def test_a_line_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "shard-01").write_bytes(f"12 e\n{text}\n".encode("latin-1"))
    assert knows(memory_in(tmp_path)) == ["12 e"]
    (tmp_path / "shard-01").write_bytes(text.encode("latin-1"))
    assert memory_in(tmp_path).wanted(memory_in(tmp_path).marks(SHARD)) == "0 "


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    folder.touch()  # in the place of the folder
    memory = memory_in(folder)
    learn(memory, 12, "e")
    memory.flush()
    folder.unlink()
    memory.flush()
    assert knows(memory_in(folder)) == ["12 e"]


def test_what_cannot_be_read_now_is_not_overwritten(tmp_path: Path) -> None:
    memory, other = memory_in(tmp_path), memory_in(tmp_path)
    learn(memory, 5, "f")
    learn(other, 12, "e")
    other.flush()
    (tmp_path / "shard-01").rename(tmp_path / "aside")
    (tmp_path / "shard-01").mkdir()  # reading it is an error
    memory.flush()
    (tmp_path / "shard-01").rmdir()
    (tmp_path / "aside").rename(tmp_path / "shard-01")
    memory.flush()
    assert knows(memory) == ["5 f", "12 e"]


def test_all_who_leave_at_once_write_what_they_know(tmp_path: Path) -> None:
    """One keeps the others from writing for a moment."""
    memory = memory_in(tmp_path)
    learn(memory, 12, "e")
    with ExitStack() as writes:
        writes.enter_context(Notes(tmp_path).alone())
        leaving = Thread(target=memory.flush)
        leaving.start()
        writes.close()
        leaving.join()
    assert knows(memory_in(tmp_path)) == ["12 e"]


def test_who_accepts_an_older_ledger_looks_for_nothing() -> None:
    assert Memory(Notes(None), strict=False).wanted((Mark(12, "e"),)) == ""
