"""Two ways to send a command to Redis from many greenlets at once. Both send a command once.

In: the address of a server. Out: a function that sends one command and returns what it answers, or
raises a RedisError: with a ConnectionError or TimeoutError the command may have had its effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import gevent
from gevent.event import AsyncResult, Event
from gevent.queue import LifoQueue
from redis import Connection, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

CONNECTIONS_MAX: Final = 256  # of a process: as many as it may have requests in this benchmark
TIMEOUT_SECONDS: Final = 5.0
READ_BYTES: Final = 4_096  # an answer is shorter; the driver's own 32 KiB only cool the caches


class Line(Protocol):
    """A way to send one command."""

    def __call__(self, *command: str | bytes | int) -> Any:
        """Return the answer. Raises RedisError."""


class Pool:
    """Each command has a connection to itself, the one that was used last.

    redis-py's own pool looks with a `poll` whether a connection is still good whenever it lends
    one. Under gevent that costs more than the command itself: 115 µs with it, 45 without. A broken
    connection is found by the command that uses it, and made again for the next.
    """

    def __init__(self, url: str) -> None:
        self._idle = LifoQueue()
        for _ in range(CONNECTIONS_MAX):
            self._idle.put(_connection(url))  # connects at its first use

    def __call__(self, *command: str | bytes | int) -> Any:
        """Return the answer. Raises RedisError."""
        connection = self._idle.get()
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            self._idle.put(connection)


class Pipeline:
    """All commands of a process go over one connection; what comes meanwhile goes together next."""

    def __init__(self, url: str) -> None:
        self._connection = _connection(url)
        self._waiting: list[tuple[AsyncResult, tuple[str | bytes | int, ...]]] = []
        self._called = Event()
        gevent.spawn(self._run)

    def __call__(self, *command: str | bytes | int) -> Any:
        """Return the answer. Raises RedisError."""
        result = AsyncResult()
        self._waiting.append((result, command))
        self._called.set()
        return result.get()

    def _run(self) -> None:
        while True:
            self._called.wait()
            gevent.sleep(0)  # whoever is about to call does so first
            self._called.clear()
            batch, self._waiting = self._waiting, []
            try:
                packed = self._connection.pack_commands([command for _, command in batch])
                self._connection.send_packed_command(packed)
                for result, _ in batch:
                    self._answer(result)
            except RedisError as error:
                self._connection.disconnect()  # answers may still come, for nobody
                for result, _ in batch:
                    if not result.ready():
                        result.set_exception(error)

    def _answer(self, result: AsyncResult) -> None:
        try:
            result.set(self._connection.read_response())
        except ResponseError as error:  # the answer to this command alone
            result.set_exception(error)


LINES: Final[dict[str, Callable[[str], Line]]] = {"pool": Pool, "pipeline": Pipeline}


def _connection(url: str) -> Any:  # half of the driver's connection has no types
    return Connection(
        **parse_url(url),  # type: ignore[no-untyped-call]
        socket_timeout=TIMEOUT_SECONDS,
        socket_read_size=READ_BYTES,
        retry=Retry(NoBackoff(), 0),  # redis-py repeats writes, ten times, unless it is told
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
