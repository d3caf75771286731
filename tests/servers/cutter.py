"""What stands between a client and a Redis server, and cuts the wire at a chosen command.

    with Cutter(server.port) as cutter, connect(cutter.through(server.url)) as client:
        cutter.cut(Moment.AFTER, 2)  # the second command is done, and its reply is lost

Commands are counted over all its connections in the order they come, but not those with which a
driver opens a connection. Replies are told by their order, so it is not for subscribers nor for
MONITOR; and it cannot read TLS. It works in a thread of its own, and may be told from any.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tests.servers.process import HOST
from tests.servers.programs import lasting_port
from tests.servers.wire import Command, Link, Moment, Plan

__all__ = ["Command", "Cutter", "Moment"]

OPENING: Final = frozenset({"AUTH", "CLIENT", "COMMAND", "HELLO", "READONLY", "SELECT"})
PATIENCE_SECONDS: Final = 10.0
PORT_TRIES: Final = 10
COMMANDS_KEPT: Final = 100_000

T = TypeVar("T")


class Cutter:
    """A proxy on a port of its own to a server on `target`, a port of loopback."""

    def __init__(self, target: int, *, uncounted: Collection[str] = OPENING) -> None:
        self.target = target
        self.port = lasting_port()
        self._uncounted = uncounted
        self._seen: deque[Command] = deque(maxlen=COMMANDS_KEPT)
        self._counted: deque[Command] = deque(maxlen=COMMANDS_KEPT)
        self._plan: Plan | None = None
        self._made = 0
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._listener: asyncio.Server | None = None
        self._replies_pass = asyncio.Event()
        self._replies_pass.set()
        self._opening: asyncio.TimerHandle | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutter", daemon=True)
        self._thread.start()
        self._run(self._find_port())

    # --- what shall happen ---

    def cut(
        self,
        moment: Moment,
        nth: int = 1,
        *,
        share: float = 0.5,
        reset: bool = False,
        refuse: bool = False,
    ) -> None:
        """Cut the connection of the nth command from now, once.

        What came before it on its connection is settled then. Within a request or a reply, `share`
        of the bytes are passed on. `reset`: its client sees a reset instead of an end. `refuse`:
        from that moment nobody is let in, until `accept`.
        """
        then = self._stop_listening if refuse else None
        self._arm(Plan(moment, nth, cuts=True, share=share, resets=reset, then=then))

    def hold(self, moment: Moment, nth: int = 1) -> None:
        """Hold the nth command from now, BEFORE it goes to the server, or its reply (AFTER).

        `release` lets it go on: to the server even if its client is gone.
        """
        assert moment in (Moment.BEFORE, Moment.AFTER), moment
        self._arm(Plan(moment, nth, cuts=False))

    def release(self) -> None:
        """Let go on what `hold` holds; hold nothing if it has not come yet."""
        plan = self._plan
        assert plan is not None, "nothing is planned"
        self._do(plan.released.set)

    def watch(self) -> None:
        """Count anew, and do nothing."""
        self._arm(None)

    @property
    def struck(self) -> Command | None:
        """The command that was cut or is held, if it has come."""
        plan = self._plan
        return plan.command if plan is not None and plan.done.is_set() else None

    def wait_struck(self, seconds: float = PATIENCE_SECONDS) -> Command:
        """Wait until the command has come and was cut or is held; return it."""
        plan = self._plan
        assert plan is not None, "nothing is planned"
        came = plan.done.wait(seconds)
        assert came, f"not within {seconds} s: {plan.moment.name}, after {self.names}"
        assert plan.command is not None
        return plan.command

    def hold_replies(self, seconds: float | None = None) -> None:
        """Hold all replies, for a time or until `pass_replies`. Commands go on to the server."""
        self._do(lambda: self._set_replies(passing=False, seconds=seconds))

    def pass_replies(self) -> None:
        """Pass on the replies that were held, and those to come."""
        self._do(lambda: self._set_replies(passing=True))

    def cut_all(self, *, reset: bool = False) -> None:
        """Cut all connections that are open."""

        def cut() -> None:
            for link in self._links:
                link.cut(resets=reset)

        self._do(cut)

    def refuse(self) -> None:
        """Let nobody in: connections are refused. Those that are open stay."""
        self._do(self._stop_listening)

    def accept(self) -> None:
        """Let clients in again."""
        self._run(self._listen())

    # --- what was seen ---

    @property
    def seen(self) -> list[Command]:
        """All commands that came by."""
        return self._do(lambda: list(self._seen))

    @property
    def counted(self) -> list[Command]:
        """The commands that were counted since the last `cut`, `hold` or `watch`."""
        return self._do(lambda: list(self._counted))

    @property
    def names(self) -> list[str]:
        """The names of those."""
        return [command.name for command in self.counted]

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._do(lambda: len(self._links))

    def through(self, url: str) -> str:
        """Return the URL that leads to the same server through here."""
        direct = f"{HOST}:{self.target}"
        assert direct in url, f"{url} does not lead to {direct}"
        return url.replace(direct, f"{HOST}:{self.port}")

    # --- its end ---

    def close(self) -> None:
        """Cut all connections, and listen no more."""
        if self._thread.is_alive():
            self._run(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_SECONDS)
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- into its thread ---

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def _do(self, work: Callable[[], T]) -> T:
        async def do() -> T:
            return work()

        return self._run(do()) if self._thread.is_alive() else work()

    def _arm(self, plan: Plan | None) -> None:
        def arm() -> None:
            if self._plan is not None:
                self._plan.released.set()
            self._plan = plan
            self._counted.clear()

        self._do(arm)

    # --- in its thread ---

    async def _find_port(self) -> None:
        for _ in range(PORT_TRIES):
            with suppress(OSError):  # taken since
                return await self._listen()
            self.port = lasting_port()
        raise AssertionError(f"no port in {PORT_TRIES} tries")

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, HOST, self.port)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _set_replies(self, *, passing: bool, seconds: float | None = None) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if passing:
            self._replies_pass.set()
        else:
            self._replies_pass.clear()
        if seconds is not None:
            self._opening = self._loop.call_later(seconds, self._replies_pass.set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._made += 1
        link = Link(self._made, (reader, writer), self._note, self._replies_pass)
        self._links[link] = task
        try:
            with suppress(OSError, asyncio.CancelledError):  # the server is gone; or all is over
                await link.run(self.target)
        finally:
            del self._links[link]

    def _note(self, command: Command) -> Plan | None:
        self._seen.append(command)
        if command.name in self._uncounted:
            return None
        self._counted.append(command)
        plan = self._plan
        return plan if plan is not None and plan.meets(command) else None

    async def _end(self) -> None:
        self._stop_listening()
        tasks = list(self._links.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a socket is closed one turn after its transport
