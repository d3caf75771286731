"""Hosts of one service: each with its own processes and data directory, and one Redis for all."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from tests.faults.crowd import PAUSE_SECONDS, Wish
from tests.faults.line import Line
from tests.harness import START_SECONDS, Soldout, ended, wait_until

BUYERS: Final = 32
POOL_READY: Final = "workers are ready"


class Host(Soldout):
    """What runs one of the commands: `serve`, `web` or `workers`."""

    def __init__(self, command: str, data_dir: Path, redis_url: str, **settings: object) -> None:
        super().__init__(data_dir, None, lock="redis", redis_url=redis_url, **settings)
        self.command = command.split()
        self.log_path = data_dir.with_suffix(".log")

    @property
    def webs(self) -> int:
        return 0 if self.command[0] == "workers" else super().webs

    def ready(self) -> bool:
        """Say whether it sells, or for a pool alone: whether it has said that it works."""
        return POOL_READY in self.log() if self.command[0] == "workers" else super().ready()

    def says(self, words: str) -> Self:
        """Wait until its log has these words."""
        wait_until(lambda: words in self.log(), START_SECONDS, self.log)
        return self

    def refuses(self) -> str:
        """Wait until it has ended by itself, with what a refusal has as exit status; return why."""
        assert self.process is not None
        assert self.process.wait(START_SECONDS) in (1, 2), self.log()
        return self.log()

    def workers(self) -> list[int]:
        """Return the process ids of its workers."""
        return sorted(self.family()["worker"])


StartHost = Callable[..., Host]


@contextmanager
def hosts_in(folder: Path, redis_url: str, **common: object) -> Iterator[StartHost]:
    """Give away what makes hosts, each not started yet, and end all that run at last."""
    with ExitStack() as stack:
        numbers = iter(range(1, 1_000))

        def host(command: str, url: str = redis_url, **settings: object) -> Host:
            data_dir = folder / f"host-{next(numbers)}"
            return stack.enter_context(ended(Host(command, data_dir, url, **common, **settings)))

        yield host


def started(*hosts: Host) -> None:
    """Start hosts at the same time, and wait until all are ready."""
    for host in hosts:
        host.launch()
    for host in hosts:
        assert host.process is not None
        process = host.process
        wait_until(
            lambda host=host, process=process: host.ready() or process.poll() is not None,  # type: ignore[misc]
            START_SECONDS,
            host.log,
        )
        assert process.poll() is None, host.log()


def events_of_all(shards: int, count: int = 1) -> list[list[str]]:
    """Return `count` names of events for each shard: 1 first."""
    from workers.shards.keys import shard_of_event

    found: list[list[str]] = [[] for _ in range(shards)]
    names = (f"event-{number}" for number in range(100_000))
    while any(len(events) < count for events in found):
        name = next(names)
        events = found[shard_of_event(name, shards) - 1]
        if len(events) < count:
            events.append(name)
    return found


def rush(
    webs: Sequence[Host], events: Sequence[str], count: int, chance: random.Random
) -> list[Wish]:
    """Have a crowd make `count` purchases on any of the webs; return them when all are settled."""
    wishes = [
        Wish(str(UUID(int=chance.getrandbits(128))), chance.choice(events), 1) for _ in range(count)
    ]
    waiting = iter(wishes)
    one_at_a_time = threading.Lock()

    def next_wish() -> Wish | None:
        with one_at_a_time:
            return next(waiting, None)

    def buy_on(seed: int) -> None:
        mine = random.Random(seed)
        with ExitStack() as stack:
            lines = [stack.enter_context(Line(web.port)) for web in webs]
            while wish := next_wish():
                pursue(wish, lines, mine)

    with ThreadPoolExecutor(BUYERS) as pool:
        for done in [pool.submit(buy_on, chance.getrandbits(64)) for _ in range(BUYERS)]:
            done.result()
    return wishes


def pursue(wish: Wish, lines: Sequence[Line], chance: random.Random) -> None:
    """Ask, each time on any of the lines, until it is known what became of a purchase."""
    for _ in range(600):
        wish.attempts.append(chance.choice(lines).ask(wish.request()))
        if wish.settled:
            return
        threading.Event().wait(PAUSE_SECONDS)
    raise AssertionError(f"never settled: {wish}")


def told_workers(web: Host) -> list[dict[str, Any]]:
    """Return what `/workers` says."""
    answer = web.admin("GET", "/workers")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["workers"]
    return found
