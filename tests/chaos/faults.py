"""What can go wrong, each with a name, how long it lasts, and how it is healed.

A fault strikes at once and returns what heals it. Whoever it strikes at may be gone already: then
it misses, which is no error. `target` says what it needs whole: two faults at a time have two.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import redis

from tests.chaos.sites import Site, SmallDisk
from tests.faults.disk import Rules
from tests.harness import Soldout, title_of
from tests.servers.cutter import Cutter, Moment
from tests.servers.redis_server import RedisServer

Heal: TypeAlias = Callable[[], None]

MOMENT: Final = (0.0, 0.3)
WHILE: Final = (0.1, 4.0)  # shorter and longer than any lease, heartbeat or wait here
SHORT_WHILE: Final = (0.1, 2.0)
COMMANDS_MAX: Final = 40  # until the one at which a wire is cut
LEFT_BYTES: Final = 1 << 18  # on a disk that is filled: what Redis writes meanwhile, and soon more
SMALL_BYTES: Final = 1_000_000  # of memory: less than a Redis with a ledger needs
ROLES: Final = ("worker", "web", "gunicorn", "supervisor")


class Fault(NamedTuple):
    """Something that goes wrong."""

    name: str
    target: str
    weight: int
    seconds: tuple[float, float]  # how long it lasts
    strike: Callable[[random.Random], Heal]


def faults_of(site: Site) -> list[Fault]:
    """Return all that can go wrong at a site."""
    found = [
        *(Fault(f"{role} killed", "host", 3, MOMENT, partial(_kill, site, role)) for role in ROLES),
        Fault("all workers killed", "host", 2, MOMENT, partial(_kill_workers, site)),
        Fault("host killed", "host", 2, MOMENT, partial(_kill_host, site)),
        *(Fault(f"{role} stopped", "host", 2, WHILE, partial(_stop, site, role)) for role in ROLES),
    ]
    if site.disk is not None:
        found += _of_disk(site.disk)
    if site.redis is not None:
        found += _of_redis(site.redis)
        if site.redis_disk is not None:
            fill = partial(_fill_disk, site.redis_disk, site.redis)
            found.append(Fault("Redis' disk full", "redis", 3, SHORT_WHILE, fill))
    if site.cutter is not None:
        found += _of_wires(site.cutter)
    return found


def _of_disk(disk: Rules) -> list[Fault]:
    def obey(rule: str, _: random.Random) -> Heal:
        disk.start(rule)
        return partial(disk.end, rule)

    return [
        Fault("disk full", "disk", 4, SHORT_WHILE, partial(obey, "full")),
        Fault("fsync fails", "disk", 4, SHORT_WHILE, partial(obey, "sync-fails")),
        Fault("fsync hangs", "disk", 4, WHILE, partial(obey, "sync-blocks")),
    ]


def _of_redis(server: RedisServer) -> list[Fault]:
    def kill(_: random.Random) -> Heal:
        server.kill()
        return partial(_start, server)

    def stop(_: random.Random) -> Heal:
        server.pause()
        return server.go_on

    def pause_clients(chance: random.Random) -> Heal:
        server.pause_clients(chance.randrange(100, 4_000))
        return _nothing

    def fill(_: random.Random) -> Heal:
        _limit_memory(server, SMALL_BYTES)
        return partial(_limit_memory, server, 0)

    return [
        Fault("Redis killed", "redis", 6, SHORT_WHILE, kill),
        Fault("Redis stopped", "redis", 4, WHILE, stop),
        Fault("Redis answers nobody", "redis", 2, MOMENT, pause_clients),
        Fault("Redis' memory full", "redis", 3, SHORT_WHILE, fill),
    ]


def _of_wires(cutter: Cutter) -> list[Fault]:
    def cut_one(chance: random.Random) -> Heal:
        moment, reset = chance.choice(list(Moment)), chance.random() < 0.5
        cutter.cut(moment, chance.randint(1, COMMANDS_MAX), share=chance.random(), reset=reset)
        return cutter.watch

    def cut_all(chance: random.Random) -> Heal:
        cutter.cut_all(reset=chance.random() < 0.5)
        return _nothing

    def part(_: random.Random) -> Heal:
        cutter.refuse()
        cutter.cut_all()
        return cutter.accept

    def hold(_: random.Random) -> Heal:
        cutter.hold_replies()
        return cutter.pass_replies

    return [
        Fault("wire cut at a command", "wire", 6, (0.3, 1.0), cut_one),
        Fault("all wires cut", "wire", 4, MOMENT, cut_all),
        Fault("Redis out of reach", "wire", 3, SHORT_WHILE, part),
        Fault("replies held", "wire", 3, WHILE, hold),
    ]


def _fill_disk(disk: SmallDisk, server: RedisServer, _: random.Random) -> Heal:
    """Leave no room where Redis writes; with `appendfsync always` it ends itself then."""
    disk.leave(LEFT_BYTES)

    def heal() -> None:
        disk.give_back()
        if not server.running:
            server.start()

    return heal


# --- processes ---


def _kill(site: Site, role: str, chance: random.Random) -> Heal:
    _, pid = _any(site, role, chance)
    _signal(pid, signal.SIGKILL)
    return _nothing


def _kill_workers(site: Site, _: random.Random) -> Heal:
    for host in site.hosts:
        for pid in host.family()["worker"]:
            _signal(pid, signal.SIGKILL)
    return _nothing


def _kill_host(site: Site, chance: random.Random) -> Heal:
    host = chance.choice(site.hosts)
    below = [pid for pids in host.family().values() for pid in pids]
    for pid in (host.pid, *below):
        _signal(pid, signal.SIGKILL)
    return _nothing


def _stop(site: Site, role: str, chance: random.Random) -> Heal:
    _, pid = _any(site, role, chance)
    _signal(pid, signal.SIGSTOP)
    return partial(_signal, pid, signal.SIGCONT)


def _any(site: Site, role: str, chance: random.Random) -> tuple[Soldout | None, int]:
    pids = [
        (host, pid)
        for host in site.hosts
        for pid in ([host.pid] if role == "supervisor" else host.family()[role])
    ]
    return chance.choice(pids) if pids else (None, 0)


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal one of ours; by now it may be gone, and its id another's."""
    if pid and title_of(pid).startswith("soldout"):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _start(server: RedisServer) -> None:
    server.start()


def _limit_memory(server: RedisServer, count: int) -> None:
    with suppress(redis.RedisError):
        server.ask("CONFIG SET", "maxmemory", count)


def _nothing() -> None:
    """Heal what heals by itself."""
