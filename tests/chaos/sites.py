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

DISK_BYTES: Final = 4 << 30  # of Redis: more than it writes of two million orders
BUG_WORDS: Final = ("Traceback", "that is a bug", "would break the ledger", "given up")
# Short, so that what nobody heard of is soon too late (see `judge.SETTLED_SECONDS`).
SETTINGS: Final = {"deadline_seconds": 6, "wait_seconds": 2}


class SmallDisk:
    """A file system in memory, which has as much room as one likes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mount(self) -> None:
        """Put it there."""
        self._folder.mkdir()
        self._mount(f"size={DISK_BYTES}")

    def leave(self, count: int) -> None:
        """Leave only so many bytes of room."""
        room = os.statvfs(self._folder)
        self._mount(f"remount,size={(room.f_blocks - room.f_bfree) * room.f_frsize + count}")

    def give_back(self) -> None:
        """Let there be room again."""
        self._mount(f"remount,size={DISK_BYTES}")

    def unmount(self) -> None:
        """Take it away, and its place, which whoever used it could not remove."""
        subprocess.run(["umount", self._folder], check=True)
        shutil.rmtree(self._folder.parent)

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "soldout-chaos", str(self._folder)]
        subprocess.run(command, check=True, process_group=0)  # Ctrl-C is not for it


@dataclass
class Site:
    """The hosts of a service, which all sell the same stock, and what lies under them."""

    hosts: list[Soldout]
    shards: int = 1
    disk: Rules | None = None
    redis: RedisServer | None = None
    cutter: Cutter | None = None
    redis_disk: SmallDisk | None = None
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

    def bugs(self) -> list[str]:
        """Return what the hosts have printed that no fault here explains."""
        lines = (line for host in self.hosts for line in host.log().splitlines())
        return [line for line in lines if any(words in line for words in BUG_WORDS)]

    def log(self) -> str:
        """Return the end of what each host has printed."""
        return "\n".join(f"--- {' '.join(h.command)}\n{h.log()[-4000:]}" for h in self.hosts)


@contextmanager
def open_site(side: Side, folder: Path, seed: int) -> Iterator[Site]:
    """Start a service for a `with` block; end all of it by process id, whatever happens there."""
    shards = 1 + seed % 2
    with ExitStack() as stack:
        site = _embedded(folder, stack) if side == "embedded" else _on_redis(folder, shards, stack)
        for host in site.hosts:
            host.start()
        yield site


def _embedded(folder: Path, stack: ExitStack) -> Site:
    """One host, on a disk that breaks when it is told to."""
    host = stack.enter_context(ended(Soldout(folder / "data", None, **SETTINGS)))
    disk = Rules(folder / "disk")
    disk.put_under(host.env)
    return Site([host], disk=disk)


def _on_redis(folder: Path, shards: int, stack: ExitStack) -> Site:
    """A host of web processes and two of workers; one of these comes to Redis by itself."""
    server = RedisServer()
    disk = SmallDisk(server.data_dir) if os.geteuid() == 0 else None  # nobody else may mount one
    if disk is not None:
        stack.callback(disk.unmount)
        disk.mount()
    redis = stack.enter_context(server)
    cutter = stack.enter_context(Cutter(redis.port))
    through = cutter.through(redis.url)
    hosts: list[Soldout] = [
        stack.enter_context(ended(Host(command, folder, url, shards=shards, **SETTINGS, **more)))
        for command, url, more in (
            ("workers", through, {"workers": 2}),
            ("workers", redis.url, {"workers": shards}),
            ("web", through, {"web_processes": 2}),
        )
    ]
    return Site(hosts, shards=shards, redis=redis, cutter=cutter, redis_disk=disk)
