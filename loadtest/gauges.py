"""What the benchmark measures with: wrk for the clients' side, /proc for the processors' side.

In: the address and the process ids of a server and its stores. Out: sales, refusals and latencies
as wrk saw them; processor seconds and memory by role of the processes; what a sync of this disk
takes; what the machine is, and what else it did.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from loadtest.servers import redis_program

PROC = Path("/proc")
SCRIPT = Path(__file__).with_name("wrk.lua")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
GRACE_SECONDS = 30  # wrk ends by itself; beyond that it hangs
LIBRARIES = ("flask", "werkzeug", "gunicorn", "gevent", "msgspec", "apsw", "redis", "hiredis")
ROLES = {
    "soldout: web": "web",
    "soldout: worker": "workers",
    "[celeryd:": "workers",
    "rq:worker": "workers",
}
SYNCS = 100
MEMORY_EVERY_SECONDS = 0.5


class Sighting(Struct, frozen=True):
    """What wrk saw in one turn; latencies are those of all answers, refusals among them."""

    seconds: float
    sales: int
    refusals: int
    looks: int
    errors: int  # connections that broke, answers that did not come in time, and other statuses
    p50_ms: float
    p99_ms: float
    p999_ms: float


def wrk(
    url: str,
    body: object,
    connections: int,
    seconds: int,
    settings: Mapping[str, str] | None = None,
) -> Sighting:
    """Post `body`, or just GET, over so many connections, on each as fast as it is answered."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT), url]
    variables = dict(settings or {}) | {"WRK_METHOD": "GET"}
    if body is not None:
        text = json.dumps(body, separators=(",", ":"))
        variables |= {"WRK_METHOD": "POST", "WRK_BODY": text}
    ended = subprocess.run(
        command,
        check=True,
        capture_output=True,
        env=os.environ | variables,
        timeout=seconds + GRACE_SECONDS,
    )
    return msgspec.json.decode(ended.stdout.splitlines()[-1], type=Sighting)


def fsync_ms() -> float:
    """Return what it takes to have a page on this disk: the median of SYNCS times."""
    took = []
    with tempfile.TemporaryFile(prefix="soldout-sync-") as file:
        page = os.urandom(4_096)
        for number in range(SYNCS):
            os.pwrite(file.fileno(), page, number % 8 * len(page))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return median(took) * 1e3


class Spending(Struct, frozen=True):
    """Processor seconds spent so far: by a server, and by everything on the machine but us."""

    web: float
    workers: float
    store: float
    rest: float
    elsewhere: float

    def since(self, before: Spending) -> Spending:
        """Return what was spent since an earlier moment."""
        return Spending(*(getattr(self, f) - getattr(before, f) for f in self.__struct_fields__))


def spending(pid: int, store_pids: tuple[int, ...] = ()) -> Spending:
    """Read what a server, the stores that are its own, and everything else have spent so far."""
    seconds: dict[str, float] = defaultdict(float)
    for relative, role in _roles(pid, store_pids):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            seconds[role] += _used_by_process(relative)
    ours = sum(seconds.values()) + sum(
        map(_used_by, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    by_role = {role: seconds[role] for role in ("web", "workers", "store", "rest")}
    return Spending(**by_role, elsewhere=_used_in_all() - ours)


def clients_seconds() -> float:
    """Return the processor seconds of wrk, and of whatever else we started and saw end."""
    return _used_by(resource.RUSAGE_CHILDREN)


class Memory(Struct):
    """MiB of memory by role; what processes share is divided among them (PSS)."""

    web: float = 0.0
    workers: float = 0.0
    store: float = 0.0
    rest: float = 0.0

    def rise_to(self, other: Memory) -> None:
        """Keep the larger of each."""
        for role in self.__struct_fields__:
            setattr(self, role, max(getattr(self, role), getattr(other, role)))


def memory(pid: int, store_pids: tuple[int, ...] = ()) -> Memory:
    """Read what a server and its stores hold now."""
    held = Memory()
    for relative, role in _roles(pid, store_pids):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = _read(relative, "smaps_rollup").splitlines()
            pss_kib = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            setattr(held, role, getattr(held, role) + pss_kib / 1024)
    return held


@contextmanager
def peak_memory(pid: int, store_pids: tuple[int, ...] = ()) -> Iterator[Memory]:
    """Look at a server's memory now and then; the result holds the most of each role."""
    most, over = memory(pid, store_pids), threading.Event()

    def watch() -> None:
        while not over.wait(MEMORY_EVERY_SECONDS):
            most.rise_to(memory(pid, store_pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def _roles(pid: int, store_pids: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Yield each process of a server and its stores, with its role."""
    for relative in _family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            title = _read(relative, "cmdline").replace("\0", " ")
            yield (
                relative,
                next((name for start, name in ROLES.items() if title.startswith(start)), "rest"),
            )
    for store in store_pids:
        for relative in _family(store):
            yield relative, "store"


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in PROC.glob(f"{pid}/task/*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _read(pid: int, name: str) -> str:
    return (PROC / str(pid) / name).read_text()


def _used_by_process(pid: int) -> float:
    # Fields 14 to 17 of proc(5): user and system time, its own and of children it reaped.
    ticks = _read(pid, "stat").rpartition(")")[2].split()[11:15]
    return sum(map(int, ticks)) / TICKS_A_SECOND


def _used_by(whom: int) -> float:
    usage = resource.getrusage(whom)
    return usage.ru_utime + usage.ru_stime


def _used_in_all() -> float:
    """Return the processor seconds that were not idle, those stolen by the machine's host too."""
    total = (PROC / "stat").read_text().partition("\n")[0]
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, total.split()[1:])
    return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND


def machine() -> dict[str, str]:
    """Describe what the figures were measured on; without it they say nothing."""
    return {
        "cores": str(os.cpu_count()),
        "processor": processor(),
        "kernel": platform.release(),
        "data directory": file_system(Path(tempfile.gettempdir())),
        "store": _version_of(redis_program()),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def processor() -> str:
    """Return the name of the processor."""
    lines = (PROC / "cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version_of(program: str) -> str:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return said.stdout.partition(" sha=")[0]


def file_system(path: Path) -> str:
    """Return the file system that `path` is on: on a tmpfs a fsync costs nothing."""
    mounts = [line.split()[1:3] for line in (PROC / "mounts").read_text().splitlines()]
    around = [(point, kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    return max(around, key=lambda mount: len(mount[0]))[1]
