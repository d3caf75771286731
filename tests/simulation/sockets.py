"""Unix sockets of the simulation: bytes arrive late and in pieces, and connections break.

What the product uses of `socket` and `select`, as `SOCKET` and `SELECT`. As with the kernel's own,
bytes are never lost or reordered within a connection that holds; what was sent before its sender
died still arrives. That a connection breaks by itself is worse than any Unix socket.
"""

from __future__ import annotations

import itertools
import select
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from tests.simulation.scheduler import Process, Task, here, sim


class Network:
    """Who listens where, and how well bytes travel."""

    def __init__(self) -> None:
        self.listeners: dict[str, Socket] = {}
        self.cut_chance = 0.0
        self.slow_chance = 0.0
        self.descriptors = itertools.count(10)

    def delay(self) -> float:
        """Draw how long bytes take."""
        slow = sim().chance(self.slow_chance)
        return sim().rng.choice((0.005, 0.3, 1.5)) if slow else sim().rng.random() * 2e-4


_networks: list[Network] = [Network()]


def use(network: Network) -> None:
    """Make a network the one that all sockets are of."""
    _networks[:] = [network]


class Socket:
    """One end of a connection, or a listener."""

    def __init__(self, *_: object, of: Process | None = None) -> None:
        self._network = _networks[0]
        self._number = next(self._network.descriptors)
        self._process = of or here()
        self._process.at_end.append(self.close)
        self._blocking = True
        self._peer: Socket | None = None
        self._incoming = bytearray()
        self._broken = False  # what was to come is lost
        self._ended = False  # the other end is closed, and all that it sent is here
        self._arrival_us = 0
        self._backlog: deque[Socket] = deque()
        self._path: str | None = None
        self._waiting: Task | None = None
        self.polls: set[Poll] = set()

    def fileno(self) -> int:
        return self._number

    def setblocking(self, blocking: bool) -> None:
        self._blocking = blocking

    # --- connections ---

    def bind(self, path: str) -> None:
        self._path = path

    def listen(self, backlog: int) -> None:  # noqa: ARG002
        sim().point("listens")
        self._network.listeners[self._path or ""] = self

    def connect(self, path: str) -> None:
        sim().point("connects")
        listener = self._network.listeners.get(path)
        if listener is None or listener.fileno() < 0:
            raise ConnectionRefusedError("simulated")
        other = Socket(of=listener._process)
        other._peer, self._peer = self, other
        listener._backlog.append(other)
        listener._stir()

    def accept(self) -> tuple[Socket, None]:
        sim().point("accepts")
        if not self._backlog:
            raise BlockingIOError
        return self._backlog.popleft(), None

    def close(self) -> None:
        """Close this end; what it sent is still delivered."""
        if self._number < 0:
            return
        self._number = -1
        if self._path is not None and self._network.listeners.get(self._path) is self:
            del self._network.listeners[self._path]
        for waiting in self._backlog:
            waiting.close()
        if self._peer is not None:
            self._deliver(self._peer, None)

    # --- bytes ---

    def send(self, data: bytes) -> int:
        """Send what the buffer takes, which may be a part."""
        sim().point(f"sends {len(data)}")
        self._check()
        count = len(data)
        if count > 1 and sim().chance(0.05):
            count = sim().rng.randrange(1, count)
        assert self._peer is not None
        self._deliver(self._peer, bytes(data[:count]))
        sim().point("sent")
        return count

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self.send(data) :]

    def recv(self, limit: int) -> bytes:
        sim().point("receives")
        while True:
            self._check()
            if self._incoming:
                count = min(limit, len(self._incoming))
                if count > 1 and sim().chance(0.05):
                    count = sim().rng.randrange(1, count)
                data = bytes(self._incoming[:count])
                del self._incoming[:count]
                return data
            if self._ended:
                return b""
            if not self._blocking:
                raise BlockingIOError
            self._waiting = sim().current
            sim().wait("for bytes")
            self._waiting = None

    def _check(self) -> None:
        if self._number < 0:
            raise OSError(9, "Bad file descriptor")
        if self._broken:
            raise ConnectionResetError("simulated")
        if sim().chance(self._network.cut_chance):
            sim().note("the connection breaks")
            self.breaks()
            if self._peer is not None:
                self._peer.breaks()
            raise ConnectionResetError("simulated")

    def breaks(self) -> None:
        """Lose the connection and all that is under way."""
        self._broken = True
        self._stir()

    def _deliver(self, to: Socket, data: bytes | None) -> None:
        """Let bytes, or the end, arrive after all that was sent before."""
        at_us = max(to._arrival_us, sim().now_us + int(self._network.delay() * 1e6))
        to._arrival_us = at_us

        def arrive() -> None:
            if to._broken or to._number < 0:
                return
            if data is None:
                to._ended = True
            else:
                to._incoming += data
            to._stir()

        sim().at(at_us, arrive)

    def _stir(self) -> None:
        if self._waiting is not None:
            sim().wake(self._waiting)
            self._waiting = None
        for poll in self.polls:
            poll.stir()

    @property
    def readable(self) -> bool:
        return bool(self._incoming or self._ended or self._broken or self._backlog)


class Poll:
    """`select.poll` of simulated sockets."""

    def __init__(self) -> None:
        self._sockets: dict[int, tuple[Socket, int]] = {}
        self._waiting: Task | None = None

    def register(self, end: Socket, events: int) -> None:
        self._sockets[end.fileno()] = end, events
        end.polls.add(self)

    def modify(self, end: Socket, events: int) -> None:
        self.register(end, events)

    def unregister(self, end: Socket) -> None:
        del self._sockets[end.fileno()]
        end.polls.discard(self)

    def stir(self) -> None:
        if self._waiting is not None:
            sim().wake(self._waiting)
            self._waiting = None

    def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
        sim().point("polls")
        found = self._look()
        if not found and timeout_ms > 0:
            self._waiting = sim().current
            sim().wait("in poll", timeout_ms / 1000)
            self._waiting = None
            found = self._look()
        return found

    def _look(self) -> list[tuple[int, int]]:
        found = []
        for number, (end, events) in self._sockets.items():
            stirred = (select.POLLIN if end.readable else 0) | (events & select.POLLOUT)
            if stirred & events:
                found.append((number, stirred & events))
        return found


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """Stand in for the product's: a simulated socket's path may be long."""
    yield str(folder / name)


SOCKET = SimpleNamespace(AF_UNIX=socket.AF_UNIX, SOCK_STREAM=socket.SOCK_STREAM, socket=Socket)
SELECT = SimpleNamespace(poll=Poll, POLLIN=select.POLLIN, POLLOUT=select.POLLOUT)
