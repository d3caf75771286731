"""What the benchmark measures with: wrk for the clients' side, /proc for the processors' side.

In: the address and the process ids of a server and its store. Out: sales, refusals and latencies as
wrk saw them; processor seconds by role of the processes; what the machine is, and what else it did.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtest.servers import redis_program

PROC = Path("/proc")
SCRIPT = Path(__file__).with_name("wrk.lua")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
GRACE_SECONDS = 30  # wrk ends by itself; beyond that it hangs
LIBRARIES = ("flask", "werkzeug", "gunicorn", "gevent", "msgspec", "apsw", "redis", "hiredis")
ROLES = {"soldout: web": "web", "soldout: worker": "workers"}


class Sighting(Struct, frozen=True):
    """What wrk saw in one turn; latencies are those of all answers, refusals among them."""

    seconds: float
    sales: int
    refusals: int
    errors: int  # connections that broke, and answers that did not come in time
    p50_ms: float
    p99_ms: float


def wrk(url: str, body: object, connections: int, seconds: int) -> Sighting:
    """Post `body` to `/buy` over so many connections, on each as fast as it is answered."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT), f"{url}/buy"]
    ended = subprocess.run(
        command,
        check=True,
        capture_output=True,
        env=os.environ | {"WRK_BODY": json.dumps(body, separators=(",", ":"))},
        timeout=seconds + GRACE_SECONDS,
    )
    return msgspec.json.decode(ended.stdout.splitlines()[-1], type=Sighting)


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


def spending(pid: int, store_pid: int | None = None) -> Spending:
    """Read what a server, the store that is its own, and everything else have spent so far."""
    seconds: dict[str, float] = defaultdict(float)
    for relative in _family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            title = _read(relative, "cmdline").replace("\0", " ")
            role = next((name for start, name in ROLES.items() if title.startswith(start)), "rest")
            seconds[role] += _used_by_process(relative)
    if store_pid is not None:
        seconds["store"] = _used_by_process(store_pid)
    ours = sum(seconds.values()) + sum(
        map(_used_by, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    by_role = {role: seconds[role] for role in ("web", "workers", "store", "rest")}
    return Spending(**by_role, elsewhere=_used_in_all() - ours)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in PROC.glob(f"{pid}/task/*/children"):
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
        "processor": _processor(),
        "kernel": platform.release(),
        "data directory": _file_system(Path(tempfile.gettempdir())),
        "store": _version_of(redis_program()),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    lines = (PROC / "cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version_of(program: str) -> str:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return said.stdout.partition(" sha=")[0]


def _file_system(path: Path) -> str:
    """Return the file system that `path` is on: on a tmpfs a fsync costs nothing."""
    mounts = [line.split()[1:3] for line in (PROC / "mounts").read_text().splitlines()]
    around = [(point, kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    return max(around, key=lambda mount: len(mount[0]))[1]
