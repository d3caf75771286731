"""One client's connection through a `Cutter`, command by command; and the plan for one of them.

All of it lives in the cutter's event loop.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from tests.servers.process import HOST
from tests.servers.resp import Frames, is_push, words_of

WORDS_KEPT: Final = 4
CHUNK: Final = 2**16
SKIP_REPLY: Final = ("CLIENT", "REPLY", "SKIP")  # neither it nor what follows it gets one
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset instead of a goodbye


class Moment(Enum):
    """Where in the life of one command something happens, in the order of time."""

    BEFORE = "the server never hears of it"
    IN_REQUEST = "the server gets a part of it"
    AFTER = "the server did it, and the client hears nothing"
    IN_REPLY = "the server did it, and the client gets a part of the reply"


@dataclass(frozen=True)
class Command:
    """A command that came by: its first words, and the number of its connection."""

    connection: int
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.words[0].upper() if self.words else ""


@dataclass
class Plan:
    """What shall happen to which command. `done` is set when it has."""

    moment: Moment
    countdown: int
    cuts: bool  # or it holds the command until `released`
    share: float = 0.5  # of the bytes that are passed on, when it is cut within
    resets: bool = False
    then: Callable[[], None] | None = None
    command: Command | None = None
    done: threading.Event = field(default_factory=threading.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def meets(self, command: Command) -> bool:
        """Count a command; say whether it is the one."""
        self.countdown -= 1
        if self.countdown != 0:
            return False
        self.command = command
        return True

    def part(self, frame: bytes) -> bytes:
        """Return the part of a frame that is passed on: never nothing, never all of it."""
        return frame[: min(max(1, int(len(frame) * self.share)), len(frame) - 1)]


class Link:
    """A client's connection and the one behind it.

    `note` is told each command and returns the plan that is meant for it; replies are passed on
    while `replies_pass` is set.
    """

    def __init__(
        self,
        number: int,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        note: Callable[[Command], Plan | None],
        replies_pass: asyncio.Event,
    ) -> None:
        self.number = number
        self._from_client, self._to_client = client
        self._note = note
        self._replies_pass = replies_pass
        self._to_server: asyncio.StreamWriter | None = None
        self._awaited: deque[Plan | None] = deque()  # one for each reply
        self._skips = False  # the reply to the command that comes next
        self._settled = asyncio.Event()  # when no reply is awaited
        self._settled.set()

    async def run(self, target: int) -> None:
        """Pass on what comes from both sides, until one of them ends or it is cut."""
        try:
            from_server, self._to_server = await asyncio.open_connection(HOST, target)
            await _first_of(self._pass_requests(self._to_server), self._pass_replies(from_server))
        finally:
            self.cut()

    def cut(self, *, resets: bool = False) -> None:
        """Close both connections; what was passed on before still arrives."""
        if self._to_server is not None:
            self._to_server.close()
        if resets and not self._to_client.is_closing():
            connection = self._to_client.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._to_client.transport.abort()
        self._to_client.close()

    async def _pass_requests(self, server: asyncio.StreamWriter) -> None:
        frames = Frames()
        while data := await self._from_client.read(CHUNK):
            for frame in frames.feed(data):
                if not await self._pass_request(server, frame):
                    return

    async def _pass_request(self, server: asyncio.StreamWriter, frame: bytes) -> bool:
        """Pass on one request as is planned; say whether the connection still stands."""
        command = _command(self.number, frame)
        follows, self._skips = self._skips, _first_words(command, 3) == SKIP_REPLY
        unheard = follows or self._skips
        plan = self._note(command)
        if plan is None:
            await self._send(server, frame, None, unheard=unheard)
            return True
        await self._settled.wait()  # so that only this one is in doubt
        if plan.moment in (Moment.AFTER, Moment.IN_REPLY) and not unheard:
            await self._send(server, frame, plan)
            await self._settled.wait()  # nothing that follows it goes on before its reply
            return True
        if plan.moment in (Moment.AFTER, Moment.IN_REPLY):
            await self._send(server, frame, None, unheard=True)
            if plan.cuts:
                self._cut_as(plan)  # the server reads what was sent before it sees the end
                return False
            plan.done.set()
            await plan.released.wait()
            return True
        if plan.cuts:
            if plan.moment is Moment.IN_REQUEST:
                server.write(plan.part(frame))
            self._cut_as(plan)
            return False
        plan.done.set()
        await plan.released.wait()
        await self._send(server, frame, None, unheard=unheard)
        return True

    async def _send(
        self,
        server: asyncio.StreamWriter,
        frame: bytes,
        plan: Plan | None,
        *,
        unheard: bool = False,
    ) -> None:
        if not unheard:
            self._awaited.append(plan)
            self._settled.clear()
        server.write(frame)
        await server.drain()

    async def _pass_replies(self, from_server: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await from_server.read(CHUNK):
            for frame in frames.feed(data):
                await self._replies_pass.wait()
                unasked = is_push(frame) or not self._awaited
                plan = None if unasked else self._awaited.popleft()
                if plan is not None and plan.cuts:
                    if plan.moment is Moment.IN_REPLY:
                        self._to_client.write(plan.part(frame))
                    self._cut_as(plan)
                    return
                if plan is not None:
                    plan.done.set()
                    await plan.released.wait()
                self._to_client.write(frame)
                await self._to_client.drain()
                if not self._awaited:
                    self._settled.set()

    def _cut_as(self, plan: Plan) -> None:
        if plan.then is not None:
            plan.then()
        self.cut(resets=plan.resets)
        plan.done.set()


def _first_words(command: Command, count: int) -> tuple[str, ...]:
    return tuple(word.upper() for word in command.words[:count])


def _command(number: int, frame: bytes) -> Command:
    words = words_of(frame)[:WORDS_KEPT]
    return Command(number, tuple(word.decode(errors="backslashreplace") for word in words))


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Do these at once until one is done, and end the others."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(error, Exception) and not isinstance(error, OSError):
                raise error
