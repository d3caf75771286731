"""One connection to the server of one key: commands go out in one write, replies come in order.

Nothing is ever sent twice: whoever calls knows whether that is safe. After any fault the connection
is closed, and the next call looks anew where the server is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha1
from importlib import resources
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from workers.errors import LedgerFault

SOCKET_SECONDS: Final = 1.2  # for one reply; a worker may be silent for 2 s, and beats between two
CONNECT_SECONDS: Final = 0.5
SKIP_REPLY: Final = ("CLIENT", "REPLY", "SKIP")
Command = tuple[Any, ...]


class Script:
    """A Lua script of ours, known to the server by its hash."""

    def __init__(self, name: str) -> None:
        folder = resources.files(__package__) / "lua"
        self.text = (folder / "prelude.lua").read_text() + (folder / f"{name}.lua").read_text()
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Link:
    """A connection, opened at its first use. `place` says where to; `moved` is told of faults."""

    def __init__(self, place: Callable[[], dict[str, Any]], moved: Callable[[], None]) -> None:
        self._place = place
        self._moved = moved
        self._connection: Any = None  # a redis-py Connection, whose methods have no types
        self._known: set[str] = set()
        self.beat: Callable[[], None] = lambda: None  # before each wait: whoever waits is alive
        self.greet: Callable[[], None] = lambda: None  # first of all, on each new connection

    def ask(self, *commands: Command, unheard: Command | None = None) -> list[Any]:
        """Send commands together and return their replies. Raises LedgerFault.

        Then it is not known which of them were done. `unheard` goes before them, and Redis is asked
        not to reply to it.
        """
        try:
            replies = self._exchange(commands, (SKIP_REPLY, unheard) if unheard else ())
        except (RedisError, OSError) as error:
            self.mistrust()
            raise LedgerFault(_in_words(error)) from error
        except BaseException:  # killed in the middle: the replies would be taken for others'
            self.close()
            raise
        for reply in replies:
            if isinstance(reply, ResponseError):
                self.mistrust()
                raise LedgerFault(_in_words(reply)) from reply
        return replies

    def run(self, script: Script, keys: list[str], *arguments: Any) -> Any:
        """Run a script once. Raises LedgerFault; then it is not known whether it ran."""
        self.learn(script)
        return self.ask(call(script, keys, *arguments))[0]

    def learn(self, *scripts: Script) -> None:
        """Make scripts known to the server, once a connection: a restarted server knows none."""
        unknown = [script for script in scripts if script.sha not in self._known]
        if unknown:
            self.ask(*[("SCRIPT", "LOAD", script.text) for script in unknown])
            self._known.update(script.sha for script in unknown)

    def close_if_stale(self) -> None:
        """Let go of a connection that the server has closed while nothing was asked."""
        if self._connection is not None:
            try:
                stale = self._connection.can_read(timeout=0)  # of an answer that nobody waits for
            except (RedisError, OSError):
                stale = True
            if stale:
                self.close()

    def mistrust(self) -> None:
        """Let go of the connection; the server may be elsewhere by now, or another one."""
        self.close()
        self._moved()

    def close(self) -> None:
        """Let go of the connection, and of what was known of its server."""
        self._known.clear()
        if self._connection is not None:
            with suppress(RedisError, OSError):
                self._connection.disconnect()
            self._connection = None

    def _exchange(self, commands: tuple[Command, ...], unheard: tuple[Command, ...]) -> list[Any]:
        self.beat()
        if self._connection is None:
            self._connect()
            self.greet()
        connection = self._connection
        packed = connection.pack_commands((*unheard, *commands))
        connection.send_packed_command(packed, check_health=False)
        replies: list[Any] = []
        for _ in commands:
            self.beat()
            try:
                replies.append(connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies

    def _connect(self) -> None:
        known = {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": CONNECT_SECONDS}
        options = known | self._place()
        make = options.pop("connection_class", redis.Connection)
        connection: Any = make(protocol=2, retry=Retry(NoBackoff(), 0), driver_info=None, **options)
        self._connection = connection  # before it is open, so that it is closed whatever happens
        connection.connect()


def call(script: Script, keys: list[str], *arguments: Any) -> Command:
    """Return the command that runs a script which the server knows."""
    return ("EVALSHA", script.sha, len(keys), *keys, *arguments)


def _in_words(error: Exception) -> str:
    match error:
        case AuthenticationError():
            return f"Redis does not let us in: {error}"
        case NoScriptError():
            return "Redis has forgotten our scripts"
        case ResponseError():
            return f"Redis refused: {error}"
        case _:
            return f"Redis cannot be reached: {error}"
