"""The hand-off on one host: a Unix socket for each worker, and on it a lane for each web process.

A frame is a length (4 bytes, little-endian) and a msgpack list: commands one way, outcomes back.
The sockets lie in the run directory, which only its user may enter.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from workers.codec import GARBAGE, decode_commands, decode_outcomes, encode
from workers.domain import Command, Outcome

log = logging.getLogger(__name__)

_LENGTH: Final = struct.Struct("<I")
FRAME_MAX_BYTES: Final = (
    64 << 20
)  # a full frame of the largest commands stays below; garbage does not
READ_BYTES: Final = 64 << 10  # more would be fetched from the kernel, and given back, at each read
BACKLOG: Final = 64  # web processes of one host that connect at the same moment


def socket_name(worker: int) -> str:
    """Return the file name of worker `worker`'s socket in the run directory."""
    return f"worker-{worker}.sock"


@contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """Give a path of the socket that is short however deep the directory lies.

    A Unix socket's address holds 107 bytes; `/proc/self/fd/N` leads into any directory in 20.
    """
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _to_frame(messages: list[Command] | list[Outcome]) -> bytes:
    body = encode(messages)
    return _LENGTH.pack(len(body)) + body


class _Peer:
    """The worker's end of one lane. Nothing blocks: a web that does not read waits alone."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.incoming = bytearray()
        self.outgoing = b""

    def receive(self) -> list[Command] | None:
        """Read what has come; return a frame's commands when one is whole. EOFError at the end."""
        data = self.connection.recv(READ_BYTES)
        if not data:
            raise EOFError
        self.incoming += data
        if len(self.incoming) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self.incoming)
        if length > FRAME_MAX_BYTES or len(self.incoming) > _LENGTH.size + length:
            raise msgspec.DecodeError("not a frame")
        if len(self.incoming) < _LENGTH.size + length:
            return None
        commands = decode_commands(memoryview(self.incoming)[_LENGTH.size :])
        self.incoming = bytearray()
        return commands

    def send(self) -> bool:
        """Send what the socket takes; say whether all is sent."""
        try:
            self.outgoing = self.outgoing[self.connection.send(self.outgoing) :]
        except BlockingIOError:
            return False
        return not self.outgoing


class UnixInbox:
    """The worker's end of all lanes to it: takes frames, whole, in the order they came."""

    def __init__(self, run_dir: Path, worker: int) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        (run_dir / socket_name(worker)).unlink(missing_ok=True)
        with short_path(run_dir, socket_name(worker)) as path:
            self._listener.bind(path)
        self._listener.listen(BACKLOG)
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._peers: dict[int, _Peer] = {}
        self._waiting: deque[tuple[_Peer, list[Command]]] = deque()
        self._taken: list[tuple[_Peer, int]] = []

    def take(self, limit: int, wait_seconds: float) -> list[Command]:
        """Wait until a lane stirs; return up to `limit` (one frame at least), or none."""
        if not self._waiting:
            self._receive(wait_seconds)
        if not self._waiting:
            return []
        return self._take_frame() + self._take_frames(limit - self._taken[0][1])

    def take_waiting(self, limit: int) -> list[Command]:
        """Return the further frames that are there already and fit in `limit`."""
        self._receive(0)
        return self._take_frames(limit)

    def answer(self, outcomes: list[Outcome]) -> None:
        """Send each lane its outcomes; a lane that is gone gets nothing."""
        start = 0
        for peer, count in self._taken:
            if peer.connection.fileno() >= 0:
                peer.outgoing = _to_frame(outcomes[start : start + count])
                self._flush(peer)
            start += count
        self._taken.clear()

    def close(self) -> None:
        """Close the socket and every lane."""
        self._listener.close()
        for peer in self._peers.values():
            peer.connection.close()

    def _take_frame(self) -> list[Command]:
        peer, commands = self._waiting.popleft()
        self._taken.append((peer, len(commands)))
        return commands

    def _take_frames(self, limit: int) -> list[Command]:
        commands: list[Command] = []
        while self._waiting and len(commands) + len(self._waiting[0][1]) <= limit:
            commands += self._take_frame()
        return commands

    def _receive(self, wait_seconds: float) -> None:
        for descriptor, events in self._poll.poll(wait_seconds * 1000):
            peer = self._peers.get(descriptor)
            if peer is None:
                self._accept()
            elif events & select.POLLOUT:
                self._flush(peer)
            else:
                self._read(peer)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:  # it left again
            return
        connection.setblocking(False)
        self._peers[connection.fileno()] = _Peer(connection)
        self._poll.register(connection, select.POLLIN)

    def _read(self, peer: _Peer) -> None:
        try:
            commands = peer.receive()
        except BlockingIOError:
            return
        except (OSError, EOFError):
            self._drop(peer)
        except GARBAGE as error:
            log.error("a lane sent garbage and is closed: %s", error)
            self._drop(peer)
        else:
            if commands:
                self._waiting.append((peer, commands))

    def _flush(self, peer: _Peer) -> None:
        try:
            done = peer.send()
        except OSError:
            self._drop(peer)
        else:
            self._poll.modify(peer.connection, select.POLLIN if done else select.POLLOUT)

    def _drop(self, peer: _Peer) -> None:
        self._poll.unregister(peer.connection)
        del self._peers[peer.connection.fileno()]
        peer.connection.close()


class UnixLane:
    """The web's end of one lane. It uses gevent's sockets, so that waiting stops nobody else."""

    fault = ""  # a worker that is gone is started again; there is no more to tell
    retry_seconds = 0.02  # a worker that was killed is back after some 50 ms

    def __init__(self, run_dir: Path, worker: int) -> None:
        self._run_dir = run_dir
        self._name = socket_name(worker)
        self._connection: Any = None

    def connect(self) -> None:
        """Reach the worker; OSError if it does not listen."""
        from gevent import socket as gevent_socket  # noqa: PLC0415 - workers import this file too, without gevent

        connection = gevent_socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_path(self._run_dir, self._name) as path:
                connection.connect(path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def exchange(self, commands: list[Command]) -> list[Outcome]:
        """Send one frame and wait for its answer. OSError if the lane breaks."""
        self._connection.sendall(_to_frame(commands))
        data = self._read()
        while len(data) < _LENGTH.size:
            data += self._read()
        (length,) = _LENGTH.unpack_from(data)
        while len(data) < _LENGTH.size + length:
            data += self._read()
        try:
            outcomes = decode_outcomes(memoryview(data)[_LENGTH.size :])
        except GARBAGE as error:
            raise ConnectionError(f"a worker answered garbage: {error}") from error
        if len(outcomes) != len(commands):
            raise ConnectionError(f"{len(commands)} commands, but {len(outcomes)} outcomes")
        return outcomes

    def close(self) -> None:
        """Let go of the worker."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self) -> bytearray:
        data = self._connection.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the worker is gone")
        return bytearray(data)
