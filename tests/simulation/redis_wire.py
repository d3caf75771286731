"""Connections to a simulated Redis: what is asked arrives late, in part, or when who asked is dead.

A `Redis` is one server, as all connections see it. Its `engine` executes one command at a time, at
a moment that the scheduler chooses: `redis_real` is a real server, `redis_model` a model of one.
Blocking commands wait here, and are asked of the engine without waiting whenever something may have
changed. Between two commands of one pipeline others may come, as Redis allows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from zlib import crc32

import redis.exceptions

from tests.simulation.scheduler import Task, here, sim
from workers.shards import turn
from workers.shards.link import SOCKET_SECONDS

Command = tuple[Any, ...]
READS: Final = frozenset(
    {"CONFIG", "GET", "HGET", "HGETALL", "HMGET", "HVALS", "INFO", "LRANGE"}
    | {"SCRIPT", "TIME", "XLEN", "XRANGE", "XREAD"}
)


class Engine(Protocol):
    """What executes commands."""

    def begin(self) -> None:
        """Be empty."""

    def save(self) -> object:
        """Return all it holds."""

    def load(self, saved: object) -> None:
        """Hold what was saved, and nothing else."""

    def restart(self, is_lost: Callable[[bytes], bool]) -> None:
        """Lose some keys that scripts wrote into memory alone; a rewrite may have saved others."""

    def execute(
        self, command: Command, now_us: int, then: Sequence[Command] = ()
    ) -> tuple[Any, list[Any]]:
        """Execute a command that does not block, at a moment of the server's clock, and some reads.

        Returns what redis-py's parser would, an error included.
        """


class Redis:
    """One server. Chances are of each message."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.up = True
        self.wall_us = 1_700_000_000_000_000  # to be added to the simulated time
        self.cut_chance = 0.0
        self.slow_chance = 0.0
        self.connections: list[Connection] = []
        self.executed = 0
        self.when_empty: Callable[[], None] = lambda: None
        self._scripts: set[str] = set()
        engine.begin()

    @property
    def now_us(self) -> int:
        """The time by the server's own clock."""
        return sim().now_us + self.wall_us

    def delay(self) -> float:
        """Draw how long a message takes."""
        if sim().chance(self.slow_chance):
            return sim().rng.choice((0.01, 0.4, 1.0, 2.5))
        return sim().rng.random() * 3e-4

    def connect(self, **options: Any) -> Connection:  # noqa: ARG002
        """Make a connection, not open yet: redis-py's connection class, to the product."""
        return Connection(self)

    def execute(self, command: Command) -> Any:
        """Have the engine execute a command, and let those go on who waited for what it did."""
        self.executed += 1
        name = str(command[0])
        if name == "EVALSHA" and command[1] not in self._scripts:
            return redis.exceptions.NoScriptError("No matching script.")
        blocked = [c for c in self.connections if c.blocked] if name not in READS else []
        looks = [c.blocked.looks for c in blocked if c.blocked]
        reply, found = self.engine.execute(command, self.now_us, looks)
        if name == "SCRIPT":
            self._scripts.add(reply.decode())
        if name == "EVALSHA" and command[1] == turn._COMMIT.sha and reply[0] == b"done":
            late_ms = self.now_us // 1000 - int(command[3 + command[2] + 2])
            if late_ms > 0:
                sim().fail(f"a turn was committed {late_ms} ms later than it may be")
        for connection, seen in zip(blocked, found, strict=True):
            if seen:
                sim().at(sim().now_us, connection.go_on)
        return reply

    def come_back_empty(self, for_seconds: float) -> None:
        """Die and come back without its data, which an operator puts in its place later."""
        if not self.up:
            return
        saved = self.engine.save()
        self.crash(0.01)
        self.engine.begin()

        def put_back() -> None:
            sim().note("the data is put in its place")
            self.crash(0.01)
            self.engine.load(saved)

        sim().note("Redis has lost its data")
        self.when_empty()
        sim().later(for_seconds, put_back)

    def crash(self, for_seconds: float) -> None:
        """Die and come back. What was executed is on its disk, but for what is in memory alone."""
        sim().note("Redis dies")
        drawn = sim().rng.randrange(1 << 32)
        self.engine.restart(lambda key: bool((crc32(key) ^ drawn).bit_count() & 1))
        self.up = False
        self._scripts.clear()
        for connection in list(self.connections):
            connection.lose()

        def start() -> None:
            sim().note("Redis is back")
            self.up = True

        sim().later(for_seconds, start)


@dataclass
class Blocked:
    """A command that waits."""

    command: Command  # asks for the same at once
    looks: Command  # says whether there is something
    until_us: int


class Connection:
    """One connection, with both of its ends."""

    def __init__(self, server: Redis) -> None:
        self._server = server
        self._arrival_us = 0
        self._reply_us = 0
        self._broken = False  # as its client knows it
        self._gone = False  # as the server knows it
        self._skip = 0  # 1: CLIENT REPLY SKIP came, 2: it is for the command that comes now
        self._waiting_commands: deque[Command] = deque()
        self._replies: deque[Any] = deque()
        self._reader: Task | None = None
        self.blocked: Blocked | None = None

    # --- the client's end, as redis-py has it ---

    def connect(self) -> None:
        sim().point("connects to Redis")
        if not self._server.up or sim().chance(self._server.cut_chance):
            raise redis.exceptions.ConnectionError("simulated: not reached")
        here().at_end.append(self.disconnect)
        self._server.connections.append(self)

    def pack_commands(self, commands: Any) -> list[Command]:
        return list(commands)

    def send_packed_command(self, packed: list[Command], check_health: bool = True) -> None:  # noqa: ARG002
        sim().point("asks " + " ".join(shown(command) for command in packed))
        self._check()
        arrive = len(packed)
        cut = sim().chance(self._server.cut_chance)
        if cut:
            arrive = sim().rng.randrange(len(packed) + 1)
            sim().note(f"the wire is cut; {arrive} of {len(packed)} arrive")
        for command in packed[:arrive]:
            self._send(lambda command=command: self._arrive(command))  # type: ignore[misc]
        if cut:
            self.disconnect()
            self._broken = True
            if sim().chance(0.5):  # else it is seen when the reply is read
                raise redis.exceptions.ConnectionError("simulated: cut")
        sim().point("asked")

    def read_response(self) -> Any:
        sim().point("reads a reply")
        limit_us = sim().now_us + int(SOCKET_SECONDS * 1e6)
        while not self._replies:
            self._check()
            left_us = limit_us - sim().now_us
            if left_us <= 0:
                raise redis.exceptions.TimeoutError("simulated: no reply in time")
            self._reader = sim().current
            sim().wait("for a reply", left_us / 1e6)
            self._reader = None
        reply = self._replies.popleft()
        if isinstance(reply, redis.exceptions.ResponseError):
            raise reply
        return reply

    def can_read(self, timeout: float = 0) -> bool:  # noqa: ARG002
        sim().point("looks for a reply")
        return bool(self._replies) or self._broken or self._gone

    def disconnect(self) -> None:
        """Close it; what was sent still arrives."""
        if not self._broken:
            self._broken = True
            self._send(self._forget)

    def _check(self) -> None:
        if self._broken or self._gone:
            raise redis.exceptions.ConnectionError("simulated: closed")

    def _send(self, action: Callable[[], None]) -> None:
        at_us = max(self._arrival_us, sim().now_us + int(self._server.delay() * 1e6))
        self._arrival_us = at_us
        sim().at(at_us, action)

    # --- the server's end ---

    def lose(self) -> None:
        """Be cut by the server's death."""
        self._gone = True
        self._forget()
        if self._reader is not None:
            sim().wake(self._reader)

    def _forget(self) -> None:
        self._gone = True
        self.blocked = None
        self._waiting_commands.clear()
        if self in self._server.connections:
            self._server.connections.remove(self)

    def _arrive(self, command: Command) -> None:
        if not self._gone:
            self._waiting_commands.append(command)
            self._work()

    def _work(self) -> None:
        while self._waiting_commands and self.blocked is None and not self._gone:
            self._do(self._waiting_commands.popleft())

    def _do(self, command: Command) -> None:
        if command[:2] == ("CLIENT", "REPLY"):
            self._skip = 2
            return
        seconds = blocks_for(command)
        if seconds is not None:
            until_us = sim().now_us + int(seconds * 1e6)
            self.blocked = Blocked(*without_blocking(command), until_us)
            self.go_on()
            if self.blocked is not None:
                sim().at(until_us, self._give_up)
            return
        self._reply(command, self._server.execute(command))

    def go_on(self) -> None:
        """Try again what blocks."""
        if self.blocked is None:
            return
        command = self.blocked.command
        reply = self._server.execute(command)
        if reply:
            self.blocked = None
            self._reply(command, [command[1].encode(), reply] if command[0] == "LPOP" else reply)
            self._work()

    def _give_up(self) -> None:
        if self.blocked is not None and self.blocked.until_us <= sim().now_us:
            command, self.blocked = self.blocked.command, None
            self._reply(command, None)
            self._work()

    def _reply(self, command: Command, reply: Any) -> None:
        if self._skip:
            self._skip = 0
            sim().note(f"Redis did {shown(command)}, without a reply")
            return
        sim().note(f"Redis did {shown(command)}: {brief(command, reply)}")
        if sim().chance(self._server.cut_chance):
            sim().note("the reply is lost")
            self.lose()
            return
        at_us = max(self._reply_us, sim().now_us + int(self._server.delay() * 1e6))
        self._reply_us = at_us

        def come() -> None:
            if not self._broken:
                self._replies.append(reply)
                if self._reader is not None:
                    sim().wake(self._reader)

        sim().at(at_us, come)


def blocks_for(command: Command) -> float | None:
    """Return how long a command would wait, None if it does not."""
    if command[0] == "BLPOP":
        return float(command[2])
    if command[:2] == ("XREAD", "BLOCK"):
        return int(command[2]) / 1000
    return None


def without_blocking(command: Command) -> tuple[Command, Command]:
    """Return what asks for the same at once, and what only looks whether there is something."""
    if command[0] == "BLPOP":
        return ("LPOP", command[1]), ("LLEN", command[1])
    read = ("XREAD", *command[3:])
    return read, read


def shown(command: Command) -> str:
    """Name a command in the trace; a script by the start of its hash."""
    name = str(command[0])
    return f"{name} {str(command[1])[:8]}" if name == "EVALSHA" else name


def brief(command: Command, reply: Any) -> str:
    """Show a reply in the trace, but for what may differ between two engines."""
    if isinstance(reply, Exception):
        return type(reply).__name__
    if command[0] in {"INFO", "CONFIG", "HVALS", "HGETALL"}:  # versions; an order nobody promised
        return f"{len(reply)}" if command[0] != "INFO" else "a version"
    return repr(reply)[:200]
