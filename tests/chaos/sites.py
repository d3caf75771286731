"""What is broken: a whole service, embedded or on Redis, and whoever starts its dead again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tests.faults.disk import Rules
from tests.faults_redis.hosts import Host
from tests.harness import Soldout, ended
from tests.servers.cutter import Cutter
from tests.servers.redis_server import RedisServer

Side: TypeAlias = Literal["embedded", "redis"]

# Short, so that what nobody heard of is soon too late (see `judge.SETTLED_SECONDS`).
SETTINGS: Final = {"deadline_seconds": 6, "wait_seconds": 2}


@dataclass
class Site:
    """The hosts of a service, which all sell the same stock, and what lies under them."""

    hosts: list[Soldout]
    disk: Rules | None = None
    redis: RedisServer | None = None
    cutter: Cutter | None = None
    restarts: int = 0

    @property
    def ports(self) -> list[int]:
        """Where buyers are served."""
        return [host.port for host in self.hosts if host.webs]

    def tend(self) -> None:
        """Start what has ended, as an init system does, and do not wait."""
        for host in self.hosts:
            assert host.process is not None
            if host.process.poll() is not None:
                host.launch()
                self.restarts += 1

    def log(self) -> str:
        """Return the end of what each host has printed."""
        return "\n".join(f"--- {' '.join(h.command)}\n{h.log()[-4000:]}" for h in self.hosts)


@contextmanager
def open_site(side: Side, folder: Path) -> Iterator[Site]:
    """Start a service for a `with` block; end all of it by process id, whatever happens there."""
    with ExitStack() as stack:
        site = _embedded(folder, stack) if side == "embedded" else _on_redis(folder, stack)
        for host in site.hosts:
            host.start()
        yield site


def _embedded(folder: Path, stack: ExitStack) -> Site:
    """One host, on a disk that breaks when it is told to."""
    host = stack.enter_context(ended(Soldout(folder / "data", None, **SETTINGS)))
    disk = Rules(folder / "disk")
    disk.put_under(host.env)
    return Site([host], disk=disk)


def _on_redis(folder: Path, stack: ExitStack) -> Site:
    """A host of web processes and two of workers; one of these comes to Redis by itself."""
    redis = stack.enter_context(RedisServer())
    cutter = stack.enter_context(Cutter(redis.port))
    through = cutter.through(redis.url)
    hosts: list[Soldout] = [
        stack.enter_context(ended(Host(command, folder, url, **SETTINGS, **more)))
        for command, url, more in (
            ("workers", through, {"workers": 2}),
            ("workers", redis.url, {"workers": 1}),
            ("web", through, {"web_processes": 2}),
        )
    ]
    return Site(hosts, redis=redis, cutter=cutter)
