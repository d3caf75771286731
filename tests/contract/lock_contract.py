"""What every lock owes, over real processes. A second one joins with a `lock_of` and a subclass.

class TestMyLock(LockContract):
    @pytest.fixture
    def lock_of(self) -> LockOf: ...  # called in the process that will use the lock
"""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import TypeAlias

import pytest

from workers.locks import Lock

LockOf: TypeAlias = Callable[[int], Lock]

WORKERS = 4
ROUNDS = 50
PATIENCE_SECONDS = 20.0

fork = mp.get_context("fork")


class LockContract:
    """The promises, each as a test."""

    @pytest.fixture
    def processes(self) -> Iterator[list[ForkProcess]]:
        """Processes that a test starts; none outlives it."""
        started: list[ForkProcess] = []
        yield started
        for process in started:
            process.kill()
            process.join()

    def test_one_process_at_a_time_holds_it_and_each_gets_a_larger_token(
        self, lock_of: LockOf, tmp_path: Path, processes: list[ForkProcess]
    ) -> None:
        """Each reads a number and writes it back one larger: without a lock some would be lost."""
        log = tmp_path / "log"
        log.write_text("")
        for worker in range(1, WORKERS + 1):
            process = fork.Process(target=count_up, args=(lock_of, worker, log))
            process.start()
            processes.append(process)
        for process in processes:
            process.join(PATIENCE_SECONDS)
            assert process.exitcode == 0
        rounds = [[int(word) for word in line.split()] for line in log.read_text().splitlines()]
        workers, counts, tokens = zip(*rounds, strict=True)
        assert list(counts) == list(range(WORKERS * ROUNDS))
        assert list(tokens) == sorted(set(tokens))
        assert {workers.count(worker) for worker in range(1, WORKERS + 1)} == {ROUNDS}

    def test_who_waits_gets_it_when_the_holder_gives_it_back(
        self, lock_of: LockOf, processes: list[ForkProcess]
    ) -> None:
        mine, others = fork.Pipe()
        waiting = fork.Process(target=take_it_and_tell, args=(lock_of, 2, others))
        with lock_of(1) as token:
            waiting.start()
            processes.append(waiting)
            assert mine.recv() == "asking"
            assert not mine.poll(0.1)  # it must not come; a slow machine only makes this pass
        assert mine.recv() > token
        waiting.join(PATIENCE_SECONDS)
        assert waiting.exitcode == 0

    def test_it_is_given_back_also_when_the_work_failed(self, lock_of: LockOf) -> None:
        lock = lock_of(1)
        with pytest.raises(ZeroDivisionError), lock as token:
            _ = 1 / 0
        with lock as next_token:
            assert next_token > token

    def test_a_failure_in_the_work_is_not_swallowed_nor_changed(self, lock_of: LockOf) -> None:
        with pytest.raises(KeyError, match="mine"), lock_of(1):
            raise KeyError("mine")

    def test_tokens_grow_from_the_first_on(self, lock_of: LockOf) -> None:
        lock, tokens = lock_of(1), []
        for _ in range(10):
            with lock as token:
                tokens.append(token)
        assert tokens == sorted(set(tokens))
        assert tokens[0] > 0


def count_up(lock_of: LockOf, worker: int, log: Path) -> None:
    """Add a line to the log: who, how many lines there were, and the token."""
    lock = lock_of(worker)
    for _ in range(ROUNDS):
        with lock as token:
            lines = log.read_text()
            os.sched_yield()  # let others in, if they can get in
            log.write_text(f"{lines}{worker} {lines.count(chr(10))} {token}\n")


def take_it_and_tell(lock_of: LockOf, worker: int, tell: Connection) -> None:
    lock = lock_of(worker)
    tell.send("asking")
    with lock as token:
        tell.send(token)
