"""A heartbeat is read whole: nobody sees half a beat, however fast another process beats."""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness import wait_until
from workers.hearts import Hearts, Phase, clock_ms, wall_ms

READS = 50_000
DAY_MS = 86_400_000


def beat_for_ever(path: Path) -> None:
    heart = Hearts(path, 1).start(1, os.getpid())
    heart.be_ready()
    while True:
        for phase in (Phase.TAKING, Phase.HOLDING, Phase.RELEASING, Phase.IDLE):
            heart.enter(phase)
        heart.beat()
        heart.count(1)


@contextmanager
def beating(path: Path) -> Iterator[int]:
    """Have another process beat as fast as it can for the length of a `with` block."""
    process = mp.get_context("fork").Process(target=beat_for_ever, args=(path,))
    process.start()
    assert process.pid is not None
    try:
        yield process.pid
    finally:
        process.kill()
        process.join()


def test_whoever_looks_at_a_heart_never_sees_half_a_beat(tmp_path: Path) -> None:
    hearts = Hearts(tmp_path / "hearts", 1, create=True)
    before_ms, before_clock_ms = wall_ms(), clock_ms()
    batches = 0
    with beating(tmp_path / "hearts") as pid:
        wait_until(lambda: hearts.pulse(1).ready, 20, "it beats")
        for _ in range(READS):
            pulse = hearts.pulse(1)
            assert pulse.pid == pid
            assert pulse.phase not in (Phase.EMPTY, Phase.BOOTING)
            assert before_ms - DAY_MS < pulse.beat_ms < before_ms + DAY_MS, "half a beat"
            assert before_clock_ms <= pulse.beat_clock_ms <= clock_ms(), "half a beat"
            assert pulse.batches >= batches
            batches = pulse.batches
    assert batches > 0, "it did not beat meanwhile"
