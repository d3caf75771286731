"""Hosts that meet in one Redis: web and workers apart, or both, each in a directory of its own."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import requests

from tests.harness import START_SECONDS, Soldout, ended, wait_until
from tests.servers.redis_server import RedisServer

_numbers = itertools.count(1)


class Host(Soldout):
    """One of `serve`, `web`, `workers`, on a Redis."""

    def __init__(self, command: str, folder: Path, redis_url: str, **settings: object) -> None:
        data_dir = folder / f"{command}-{next(_numbers)}"
        super().__init__(data_dir, None, lock="redis", redis_url=redis_url, **settings)
        self.command = (command,)
        self.log_path = data_dir.with_suffix(".log")

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        if self.command != ("workers",):
            return super().start()
        count = len(self.log())
        return self.launch().said("workers are ready", count)

    def said(self, words: str, after: int = 0, seconds: float = START_SECONDS) -> Self:
        """Wait until its log, from byte `after` on, has these words."""
        wait_until(lambda: words in self.log()[after:], seconds, lambda: f"{words!r}: {self.log()}")
        return self

    def why_not(self) -> str:
        """Return what `/readyz` says against selling now, in one line."""
        health = requests.get(f"{self.url}/readyz", timeout=5).json()
        return "; ".join(health.get("reasons", []))

    def fail(self) -> None:
        """Kill all its processes, as when the host fails."""
        below = [pid for pids in self.family().values() for pid in pids]
        for pid in (self.pid, *below):
            os.kill(pid, signal.SIGKILL)
        self.kill()  # only its status is missing


class Site:
    """A Redis of its own, and the hosts that were started on it."""

    def __init__(self, redis: RedisServer, folder: Path, stack: ExitStack) -> None:
        self.redis = redis
        self._folder = folder
        self._stack = stack

    def host(self, command: str, url: str | None = None, **settings: object) -> Host:
        """Make a host, which is not started yet; it ends with the site."""
        host = Host(command, self._folder, url or self.redis.url, **settings)
        return self._stack.enter_context(ended(host))


@contextmanager
def site_in(folder: Path) -> Iterator[Site]:
    """Start a Redis, and end it after all its hosts."""
    with RedisServer() as redis, ExitStack() as stack:
        yield Site(redis, folder, stack)


def seconds_until(condition: Callable[[], object], limit: float, what: str) -> float:
    """Wait until `condition()` is true; return how long that took."""
    began = time.monotonic()
    wait_until(condition, limit, what)
    return time.monotonic() - began
