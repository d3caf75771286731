"""Every answer leaves a worker after its sale was fsynced, as the kernel saw it (strace)."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.crowd import PLENTY, check_sold_exactly, crowding
from tests.harness import note, serving, wait_until

CALLS = "pwrite64,fsync,fdatasync,sendto,recvfrom"
CALL = re.compile(r"(\w+)\((\d+)<([^>]*)>.*?\) += (-?\d+)")
ANSWERS_MIN = 50


@contextmanager
def traced(pid: int, log: Path) -> Iterator[None]:
    """Write down a process's system calls, with the names of their files."""
    command = ["strace", "-y", "-s", "0", "-p", str(pid), "-e", f"trace={CALLS}", "-o", str(log)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        status = Path(f"/proc/{pid}/status")
        wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in status.read_text(), 10, "traced")
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()


@pytest.mark.long  # not for its time: it needs strace, which a developer's machine may lack
def test_every_answer_leaves_after_the_sync_of_its_sale(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        service.put_event("stadium", capacity=PLENTY)
        workers = service.family()["worker"]
        logs = [tmp_path / f"{pid}.strace" for pid in workers]
        with ExitStack() as traces, crowding(service, "stadium", warm=0) as crowd:
            for pid, log in zip(workers, logs, strict=True):
                traces.enter_context(traced(pid, log))
            sold = crowd.sold()
            wait_until(lambda: crowd.sold() > sold + 4_000, 60, "the crowd buys")
            traces.close()
            crowd.stop()
        assert service.family()["worker"] == workers
        check_sold_exactly(service, crowd.wishes)
    answers = sum(check_syncs_come_first(log) for log in logs)
    note(f"{answers} frames were answered, each after its sync")
    assert answers > ANSWERS_MIN


def check_syncs_come_first(log: Path) -> int:
    """Read a trace: a sync stands between each frame and its answer, and the log is synced then.

    Every frame here holds a sale, because tickets are plenty. Returns how many were answered.
    """
    answered = 0
    unsynced: set[str] = set()  # lanes whose frame came after the last sync
    written = False  # the ledger's log, since its last sync
    for line in log.read_text().splitlines():
        found = CALL.match(line)
        if found is None or int(found[4]) < 0:
            continue
        call, descriptor, name = found[1], found[2], found[3]
        if call == "recvfrom":
            unsynced.add(descriptor)
        elif call == "pwrite64" and name.endswith("-wal"):
            written = True
        elif call in {"fsync", "fdatasync"} and name.endswith("-wal"):
            unsynced.clear()
            written = False
        elif call == "sendto":
            assert descriptor not in unsynced, f"answered before its sync: {line}"
            assert not written, f"answered with the log written and not synced: {line}"
            answered += 1
    return answered
