"""What is broken: a whole service, embedded or on Redis, and whoever starts its dead again."""

from __future__ import annotations

import os
import shutil
import subprocess
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

DISK_MB: Final = 4_000  # of Redis: more than it writes of two million orders
# Short, so that what nobody heard of is soon too late (see `judge.SETTLED_SECONDS`).
SETTINGS: Final = {"deadline_seconds": 6, "wait_seconds": 2}


@dataclass
class Site:
    """The hosts of a service, which all sell the same stock, and what lies under them."""

    hosts: list[Soldout]
    disk: Rules | None = None
    redis: RedisServer | None = None
    cutter: Cutter | None = None
    small_disk: bool = False  # under Redis: one that can be filled
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
    server = RedisServer()
    small_disk = os.geteuid() == 0  # nobody else may mount one
    if small_disk:
        stack.callback(_unmount, server.data_dir)
        _mount_small(server.data_dir)
    redis = stack.enter_context(server)
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
    return Site(hosts, redis=redis, cutter=cutter, small_disk=small_disk)


def _mount_small(folder: Path) -> None:
    folder.mkdir()
    size = f"size={DISK_MB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "soldout-chaos", folder], check=True)


def _unmount(folder: Path) -> None:
    """Give the disk back, and its mount point, which the server could not remove."""
    subprocess.run(["umount", folder], check=True)
    shutil.rmtree(folder.parent)
