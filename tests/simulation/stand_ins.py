"""What the product finds in place of clocks, gevent, forks and signals while it is simulated.

Nothing of the product is changed for it: names that its modules have imported are replaced while
runs last, wherever in `workers` and `service` they stand.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import apsw
import gevent
import gevent.socket

from tests.simulation import disk, sockets
from tests.simulation.scheduler import Process, Task, here, sim
from tests.switched import below
from workers import hearts
from workers.ledgers.sqlite_seen import Seen

# --- clocks and chance ----------------------------------------------------------------------------


def clock_ms() -> int:
    return (sim().now_us + here().host.monotonic_us) // 1000


def wall_ms() -> int:
    return (sim().now_us + here().host.wall_us) // 1000


def sleep(seconds: float = 0) -> None:
    sim().sleep(seconds)


TIME = SimpleNamespace(
    sleep=sleep,
    monotonic=lambda: (sim().now_us + here().host.monotonic_us) / 1e6,
    thread_time=lambda: sim().now_us / 1e6,
    monotonic_ns=lambda: (sim().now_us + here().host.monotonic_us) * 1000,
    time_ns=lambda: (sim().now_us + here().host.wall_us) * 1000,
)
UUID = SimpleNamespace(
    UUID=uuid.UUID, uuid4=lambda: uuid.UUID(int=sim().rng.getrandbits(128), version=4)
)
SECRETS = SimpleNamespace(
    token_bytes=lambda count: bytes(sim().rng.randbytes(count)),
    token_hex=lambda count: sim().rng.randbytes(count).hex(),
)


# --- gevent ---------------------------------------------------------------------------------------


class Waiter:
    """gevent's: one greenlet waits in `get` until somebody calls `switch`."""

    def __init__(self) -> None:
        self._task: Task | None = None  # while it waits
        self._value: Any = None
        self._told = False

    def get(self) -> Any:
        if not self._told:
            self._task = sim().current
            try:
                sim().wait("waiter")
            finally:
                self._task = None
        return self._value

    def switch(self, value: Any = None) -> None:
        self._told, self._value = True, value
        if self._task is not None:
            sim().wake(self._task)


class Idle:
    """libev's idle watcher: it calls when its process has nothing else to do."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._callback: Callable[[], None] | None = None

    @property
    def active(self) -> bool:
        return self._callback is not None

    def start(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        in_process(self._process, sim().rng.choice((0.0, 0.0001, 0.001)), self._call)

    def stop(self) -> None:
        self._callback = None

    def _call(self) -> None:
        if self._callback is not None:
            self._callback()


def in_process(process: Process, seconds: float, action: Callable[[], None]) -> None:
    """Do something in the loop of a process, unless it is dead by then."""

    def act() -> None:
        if process.dead:
            return
        if process.stopped_until_us > sim().now_us:
            sim().later((process.stopped_until_us - sim().now_us) / 1e6, act)
            return
        with sim().as_process(process):
            action()

    sim().later(seconds, act)


def get_hub() -> Any:
    process = here()
    return SimpleNamespace(
        loop=SimpleNamespace(
            idle=lambda: Idle(process),
            run_callback=lambda action, *args: in_process(process, 0.0, lambda: action(*args)),
        )
    )


GEVENT = SimpleNamespace(
    spawn=lambda function, *args: sim().spawn(here(), function, *args), sleep=sleep
)


# --- forks, locks, signals ------------------------------------------------------------------------


class Semaphore:
    """A POSIX semaphore of one: a holder that dies leaves it taken."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[Any] = []

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        sim().point("asks for the lock")
        limit_us = None if timeout is None else sim().now_us + int(timeout * 1e6)
        while self._taken and block:
            left = None if limit_us is None else (limit_us - sim().now_us) / 1e6
            if left is not None and left <= 0:
                break
            self._waiting.append(task := sim().current)
            sim().wait("for the lock", left)
            if task in self._waiting:
                self._waiting.remove(task)
        if self._taken:
            return False
        self._taken = True
        sim().point("has the lock")
        return True

    def release(self) -> None:
        sim().point("gives the lock back")
        self._taken = False
        while self._waiting:
            sim().wake(self._waiting.pop(0))
        sim().point("gave the lock back")


class Fork:
    """A child process of `multiprocessing`."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._target = target
        self._args = args
        self.process = sim().process(f"worker-{args[0]}", here().host)
        self.watched_by: Task | None = None  # who waits for its end

    def start(self) -> None:
        sim().point("forks")
        keep_slot(self.process, *self._args[:2])
        self.process.at_end.append(self._tell_parent)
        sim().spawn(self.process, self._main)

    def _main(self) -> None:
        self._target(*self._args)
        sim().kill(self.process, 0)

    def _tell_parent(self) -> None:
        if self.watched_by is not None:
            sim().wake(self.watched_by)

    @property
    def exitcode(self) -> int | None:
        return self.process.status

    @property
    def sentinel(self) -> Fork:
        return self

    def kill(self) -> None:
        sim().kill(self.process)

    @property
    def pid(self) -> Fork:
        return self

    def signal(self, number: int) -> None:
        handler = self.process.handlers.get(number)
        if callable(handler):
            handler(number, None)
        elif not self.process.dead:
            sim().kill(self.process, -number)

    def join(self, timeout: float | None = None) -> None:
        limit_us = sim().now_us + int((1e6 if timeout is None else timeout) * 1e6)
        while self.process.status is None and sim().now_us < limit_us:
            wait_for_end([self], (limit_us - sim().now_us) / 1e6)


def wait_for_end(forks: list[Fork], seconds: float) -> None:
    """Wait until one of some children ends, or so long."""
    for fork in forks:
        fork.watched_by = sim().current
    if all(fork.process.status is None for fork in forks):
        sim().wait("for children", seconds)
    for fork in forks:
        fork.watched_by = None


def keep_slot(process: Process, worker: int, all_hearts: hearts.Hearts) -> None:
    """Keep a worker's slot as it was when the worker died.

    What is thrown into it leaves `with` blocks, and they say so in that slot.
    """
    words = all_hearts._slot(worker)
    last: list[int] = []

    def restore() -> None:
        for at, word in enumerate(last):
            words[at] = word

    process.at_death.append(lambda: last.extend(words))
    process.at_end.append(restore)


_read = Seen.read


def read_until_death(seen: Seen) -> None:
    """Read what was noted of a ledger; a process that dies lets go of the file."""
    here().at_end.append(seen.close)
    _read(seen)


def handle_signal(number: int, handler: object) -> None:
    here().handlers[number] = handler


def _exit(status: int) -> None:
    raise SystemExit(status)


MP = SimpleNamespace(
    get_context=lambda kind: SimpleNamespace(  # noqa: ARG005
        Lock=Semaphore, Process=Fork
    )
)
SIGNAL = SimpleNamespace(
    SIGTERM=15,
    SIGINT=2,
    SIGHUP=1,
    SIG_IGN=None,
    SIG_DFL=None,
    set_wakeup_fd=lambda fd: None,  # noqa: ARG005
    signal=handle_signal,
)
OS = SimpleNamespace(
    getpid=lambda: here().pid, kill=lambda fork, number: fork.signal(number), _exit=_exit
)


def nothing(*args: object, **kwargs: object) -> None:
    """Stand in for what concerns real processes only."""


# --- putting them in place ------------------------------------------------------------------------


FENCED_IS_A_BUG = True  # on one host: there a holder that is cut off is dead


class Critical(logging.Handler):
    """What the product itself calls a bug is a failure of the run."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        sim().note(f"log: {text}")
        if FENCED_IS_A_BUG and "is not newer than" in text:
            sim().fail(f"two had the lock: {text}")
        if record.levelno >= logging.CRITICAL or record.exc_info:
            sim().fail(f"the product says: {record.getMessage()} {record.exc_info or ''}")


def _everywhere(name: str, original: object, replacement: object) -> Iterator[tuple[Any, str, Any]]:
    for module_name, module in list(sys.modules.items()):
        ours = module_name.split(".")[0] in {"workers", "service"}
        if ours and isinstance(module, ModuleType) and vars(module).get(name) is original:
            yield module, name, replacement


def _replacements() -> Iterator[tuple[Any, str, Any]]:
    from service import stores
    from tests.simulation.many_hosts import topology_of
    from workers import locks, many_hosts, pool, supervisor
    from workers.handoffs import courier, unix_socket
    from workers.shards import server

    yield from _everywhere("clock_ms", hearts.clock_ms, clock_ms)
    yield from _everywhere("wall_ms", hearts.wall_ms, wall_ms)
    yield from _everywhere("time", time, TIME)
    yield from _everywhere("uuid", uuid, UUID)
    yield from _everywhere("secrets", secrets, SECRETS)
    yield courier, "gevent", GEVENT
    yield stores, "gevent", GEVENT
    yield courier, "Waiter", Waiter
    yield courier, "get_hub", get_hub
    yield gevent, "socket", sockets.SOCKET
    yield unix_socket, "socket", sockets.SOCKET
    yield unix_socket, "select", sockets.SELECT
    yield unix_socket, "short_path", sockets.short_path
    yield Seen, "read", read_until_death
    yield locks, "mp", MP
    yield pool, "mp", MP
    yield pool, "signal", SIGNAL
    yield pool, "os", OS
    yield pool, "wait", wait_for_end
    yield supervisor, "signal", SIGNAL
    yield supervisor, "set_title", nothing
    yield many_hosts, "socket", SimpleNamespace(gethostname=lambda: here().host.name)
    yield server, "topology_of", topology_of
    for name in ("end_with_parent", "set_title", "spare_the_collector"):
        yield pool, name, nothing


@contextmanager
def in_place() -> Iterator[None]:
    """Have the product use the stand-ins, and SQLite the simulated disk."""
    hook, sys.unraisablehook = sys.unraisablehook, nothing  # faults that apsw cannot pass on
    apsw.connection_hooks.append(disk.close_with_process)
    replaced = [(owner, name, getattr(owner, name), new) for owner, name, new in _replacements()]
    for owner, name, _, new in replaced:
        setattr(owner, name, new)
    logs, handler = logging.getLogger("workers"), Critical()
    logs.addHandler(handler)
    before, logs.propagate = logs.propagate, False
    try:
        with below(disk.Simulated()):
            yield
    finally:
        logs.propagate = before
        logs.removeHandler(handler)
        for owner, name, old, _ in replaced:
            setattr(owner, name, old)
        apsw.connection_hooks.remove(disk.close_with_process)
        sys.unraisablehook = hook
