"""The scheduler: one thread, one seed; who goes on, when, and what breaks are drawn from it.

A simulated process has one or more tasks, each a greenlet. A task gives way at *points*: at all
input and output, and nowhere else. There the scheduler draws who goes on, lets the clock go on, and
may kill the process. What is thrown into a killed process's tasks (`Killed`) only unwinds them:
whatever they still do ends at the next point, which does nothing for a dead process. So nothing of
a killed process reaches anybody else, as after a SIGKILL.
"""

from __future__ import annotations

import heapq
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

STEP_US: Final = 40  # at most, that one step takes of the simulated time


class Killed(GreenletExit):  # type: ignore[misc]  # greenlet has no types
    """Unwinds a task of a process that died."""


class Stuck(AssertionError):
    """Nobody can go on, or not everybody came to an end in time."""


@dataclass(eq=False)
class Host:
    """What has clocks of its own. Its wall clock may be set, the monotonic one never goes back."""

    name: str
    monotonic_us: int = 0  # to be added to the simulated time
    wall_us: int = 0
    up: bool = True
    processes: list[Process] = field(default_factory=list)  # that were ever started
    settings: Any = None
    pool: Any = None
    supervisor: Process | None = None
    generation: int = 0  # grows when all its processes die
    web_processes: int = 0  # that were ever started


@dataclass(eq=False)
class Process:
    """One simulated process."""

    name: str
    host: Host
    pid: int
    tasks: list[Task] = field(default_factory=list)
    dead: bool = False  # nothing of it has an effect any more
    status: int | None = None  # once it has ended, as `multiprocessing` says it
    stopped_until_us: int = 0  # as by SIGSTOP
    at_death: list[Callable[[], None]] = field(default_factory=list)  # before it is unwound
    at_end: list[Callable[[], None]] = field(default_factory=list)  # after that, last one first
    handlers: dict[int, Any] = field(default_factory=dict)  # of signals
    immortal: bool = False
    held_by: Task | None = None  # which is in the kernel, where no other one of it can go on
    held_up: list[Task] = field(default_factory=list)  # meanwhile


@dataclass(eq=False)
class Task:
    """One thread of control of a process."""

    name: str
    process: Process
    greenlet: greenlet
    start: tuple[Any, ...] | None = None  # until it has begun
    waits: int = 0  # grows with each wait, so that an old timer wakes nobody
    waiting: bool = False
    woken: bool = False


class Simulation:
    """One run. `sim.point("what")` is where all stand-ins for input and output begin."""

    def __init__(self, seed: int, tell: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.now_us = 0
        self.steps = 0
        self.deaths = 0
        self.kill_chance = 0.0  # at each point, of the process that is there
        self.stop_chance = 0.0
        self.failures: list[str] = []
        self.folder = ""
        self.committed = False  # something, by any worker
        self.current: Task | None = None
        self._tell = tell
        self._trace = blake2b(digest_size=16)
        self._ready: list[Task] = []
        self._timers: list[tuple[int, int, Task | None, int, Callable[[], None] | None]] = []
        self._numbers = 0
        self._doomed: list[Process] = []
        self._processes: list[Process] = []
        self._main = getcurrent()
        self._pids = 100

    # --- what happened ---

    def note(self, text: str) -> None:
        """Write down a step; all together are the run's trace."""
        task = self.current
        line = f"{self.now_us:>10} {task.name if task else '-'}: {text}"
        if self.folder:  # it is another one in each process that simulates
            line = line.replace(self.folder, "data")
        self._trace.update(line.encode())
        if self._tell:
            self._tell(line)

    def fail(self, text: str) -> None:
        """Note what must not be."""
        self.failures.append(text)
        self.note(f"FAILURE {text}")

    @property
    def trace(self) -> str:
        """The hash of all that happened so far."""
        return self._trace.hexdigest()

    def chance(self, probability: float) -> bool:
        """Draw whether something happens. Draws nothing where it cannot."""
        return probability > 0 and self.rng.random() < probability

    # --- processes ---

    def process(self, name: str, host: Host, *, immortal: bool = False) -> Process:
        """Make a process without tasks."""
        self._pids += 1
        process = Process(name, host, self._pids, immortal=immortal)
        host.processes.append(process)
        self._processes.append(process)
        return process

    def spawn(self, process: Process, function: Callable[..., Any], *args: Any) -> Task:
        """Start a task, which takes its turn later."""
        name = getattr(function, "__name__", "task").strip("_")
        task = Task(f"{process.name}/{name}", process, greenlet(self._run_task), (function, args))
        task.greenlet.parent = self._main
        process.tasks.append(task)
        self._ready.append(task)
        return task

    def _run_task(self, task: Task, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except Killed:
            pass
        except SystemExit as error:
            task.process.status = int(error.code or 0)
            self.kill(task.process, int(error.code or 0))
        except BaseException as error:
            if not task.process.dead:
                self.fail(f"{task.name} ended with {type(error).__name__}: {error}")
                self.note("".join(traceback.format_exception(error)))
        task.process.tasks.remove(task)

    def kill(self, process: Process, status: int = -9) -> None:
        """End a process at once; it is unwound before anybody goes on."""
        if process.dead:
            return
        process.dead = True
        self.deaths += status == -9
        process.status = status
        self.note(f"{process.name} ends with {status}")
        for action in process.at_death:
            action()
        self._doomed.append(process)
        if self.current is not None and self.current.process is not process:
            self.point("kill")

    def stop(self, process: Process, for_us: int) -> None:
        """Let a process stand still for a while."""
        process.stopped_until_us = max(process.stopped_until_us, self.now_us + for_us)
        self.note(f"{process.name} stops for {for_us / 1000:.0f} ms")

    @contextmanager
    def as_process(self, process: Process) -> Iterator[None]:
        """Act in the name of a process, outside of its tasks; nothing may wait there."""
        before, self.current = self.current, Task(f"{process.name}/loop", process, self._main)
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def in_kernel(self) -> Iterator[None]:
        """Be at what makes the whole process wait, as files do: gevent knows nothing of it."""
        task = self.current
        if task is None or task.process.dead:
            yield
            return
        process = task.process
        process.held_by = task
        try:
            yield
        finally:
            process.held_by = None
            self._ready += process.held_up
            process.held_up.clear()

    # --- where tasks give way ---

    def point(self, what: str) -> None:
        """Be at input or output: others may go on first, and the process may die here."""
        task = self.current
        if task is None:
            return
        process = task.process
        if process.dead:
            raise Killed
        self.note(what)
        if not process.immortal:
            if self.kill_chance and self.rng.random() < self.kill_chance:
                self.kill(process)
                raise Killed
            if self.stop_chance and self.rng.random() < self.stop_chance:
                self.stop(process, self.rng.choice((5_000, 300_000, 2_500_000, 4_000_000)))
        self._ready.append(task)
        self._give_way(task)

    def wait(self, what: str, seconds: float | None = None) -> bool:
        """Wait until somebody wakes this task, which is told by True, or so long."""
        task = self.current
        if task is None:
            raise RuntimeError("the scheduler itself cannot wait")
        if task.process.dead:
            raise Killed
        self.note(f"{what}, waits" if seconds is None else f"{what}, waits {seconds:g} s")
        task.waits += 1
        task.waiting, task.woken = True, False
        if seconds is not None:
            self._set_timer(self.now_us + max(0, int(seconds * 1e6)), task, task.waits, None)
        self._give_way(task)
        return task.woken

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.wait("sleep", seconds)

    def wake(self, task: Task) -> None:
        """Let a task that waits go on."""
        if task.waiting and not task.process.dead:
            task.waiting, task.woken = False, True
            self._ready.append(task)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have the scheduler itself do something after so long."""
        self._set_timer(self.now_us + max(0, int(seconds * 1e6)), None, 0, action)

    def at(self, at_us: int, action: Callable[[], None]) -> None:
        """Have the scheduler itself do something at a moment; in order, of those at the same."""
        self._set_timer(at_us, None, 0, action)

    def _set_timer(
        self, at_us: int, task: Task | None, waits: int, action: Callable[[], None] | None
    ) -> None:
        self._numbers += 1
        heapq.heappush(self._timers, (at_us, self._numbers, task, waits, action))

    def _give_way(self, task: Task) -> None:
        self._main.switch()
        self.current = task
        if task.process.dead:
            raise Killed

    # --- the loop ---

    def run(self, until: Callable[[], bool], *, steps: int, seconds: float) -> None:
        """Let everybody go on until something holds. Raises Stuck at its limits."""
        last_step, last_us = self.steps + steps, self.now_us + int(seconds * 1e6)
        while not until():
            if self.failures:
                return
            if self.steps >= last_step or self.now_us >= last_us:
                raise Stuck(f"not done after {self.steps} steps and {self.now_us / 1e6:.1f} s")
            self._step()

    def _step(self) -> None:
        while self._doomed:
            self._unwind(self._doomed.pop())
        if not self._ready:
            if not self._timers:
                raise Stuck("everybody waits for ever")
            self.now_us = max(self.now_us, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self.now_us:
            _, _, task, waits, action = heapq.heappop(self._timers)
            if action is not None:
                action()
            elif task is not None and task.waiting and task.waits == waits:
                task.waiting = False
                self._ready.append(task)
        if not self._ready:
            return
        ready = self._ready
        at = int(self.rng.random() * len(ready))
        ready[at], ready[-1] = ready[-1], ready[at]
        task = ready.pop()
        process = task.process
        if process.dead:
            return
        if process.held_by is not None and process.held_by is not task:
            process.held_up.append(task)
            return
        if process.stopped_until_us > self.now_us:
            task.waits += 1
            task.waiting = True
            self._set_timer(process.stopped_until_us, task, task.waits, None)
            return
        self.steps += 1
        self.now_us += int(self.rng.random() * STEP_US)
        self._resume(task)

    def _resume(self, task: Task) -> None:
        self.current = task
        if task.start is not None:
            (function, args), task.start = task.start, None
            task.greenlet.switch(task, function, args)
        else:
            task.greenlet.switch()
        self.current = None

    def _unwind(self, process: Process) -> None:
        for task in list(process.tasks):
            self.current = task
            if task.start is None:
                task.greenlet.throw(Killed)
            else:
                process.tasks.remove(task)
        self.current = None
        with self.as_process(process):
            for action in reversed(process.at_end):
                action()

    def end(self) -> None:
        """Kill whatever still lives."""
        self.kill_chance = self.stop_chance = 0.0
        for process in self._processes:
            self.kill(process)
        while self._doomed:
            self._unwind(self._doomed.pop())


_sims: list[Simulation] = []


def sim() -> Simulation:
    """Return the run that is under way."""
    return _sims[-1]


def begin(simulation: Simulation) -> None:
    """Make a run the one that all stand-ins speak to."""
    _sims[:] = [simulation]


def here() -> Process:
    """Return the process that is being run."""
    task = sim().current
    if task is None:
        raise RuntimeError("no process is being run")
    return task.process
