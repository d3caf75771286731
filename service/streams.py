"""The open streams of one web process: who looks on, and the one poller that tells them all.

A stream costs a descriptor and a few hundred bytes, but no greenlet and none of the connections
that buyers need: a request that became a stream leaves its socket here. What a slow reader misses
is not kept for it: when it reads again it is told how things stand.
"""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Iterable
from logging import Logger
from time import thread_time
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.hub import get_hub

from service.answers import Answer
from service.changes import Changes
from service.problems import SAID_AGAIN_MS, UNREADABLE, Problem
from service.reply import HandedOver
from workers.complaints import Complaints
from workers.hearts import clock_ms, wall_ms
from workers.ledgers import LedgerReader

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAUSE_MS: Final = 250  # after something was told: four times a second
PAUSE_MAX_MS: Final = 1_000
SHARE: Final = 0.04  # of a processor's time; a crowd is told, and many events are read, less often
LOOK_MS: Final = 100  # while nothing changes
SWEEP_MS: Final = 1_000  # between two looks for who is silent or stuck
HEARTBEAT_MS: Final = 10_000  # the contract promises 15; proxies often hang up after 30
STUCK_MS: Final = 30_000  # a reader that takes nothing for so long is not there
BLIND_MS: Final = 1_000  # without the ledger; then streams end, for they would show old numbers
SEND_BUFFER_BYTES: Final = 32 * 1024  # in the kernel, for each; it takes twice that
SLICE: Final = 64  # streams that are told before others get a turn: a millisecond
RETRY_MS: Final = (1_000, 3_000)  # when clients come back, spread so that they do not come together

HEARTBEAT: Final = b":\n\n"
READ, WRITE = 1, 2  # libev's events

_GONE: Final = (errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.EBADF, errno.ENOTCONN)


def pause_ms_after(spent_ms: float, least_ms: float) -> float:
    """Return how long to pause after what took so long, to spend a SHARE of the time on it."""
    return min(max(least_ms, spent_ms / SHARE), PAUSE_MAX_MS)


class StreamAnswer(Answer):
    """The head of a stream; then the connection is not the server's any more, but the stream's."""

    streams: Streams
    last_event_id: str = ""
    event: str | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the head, and leave the connection to the streams."""
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        lines = [f"{name}: {value}\r\n" for name, value in self.headers.to_wsgi_list()]
        head = f"HTTP/1.1 {self.status}\r\n{''.join(lines)}Connection: close\r\n\r\n"
        self.streams.adopt(
            environ["gunicorn.socket"], head.encode("latin-1"), self.last_event_id, self.event
        )
        return HandedOver()


class Streams:
    """Everybody who looks on. The poller runs as long as there is anybody."""

    def __init__(self, reader: LedgerReader, streams_max: int, log: Logger) -> None:
        self._reader = reader
        self._streams_max = streams_max
        self._log = log
        self._complaints = Complaints(log, SAID_AGAIN_MS)
        self._changes = Changes()
        self._streams: set[_Stream] = set()
        self._behind = False  # somebody has not seen what there is to see
        self._polling = False
        self._leaving = False
        self._told_version = 0
        self._swept_ms = 0
        self._read_ms = 0

    def __len__(self) -> int:
        return len(self._streams)

    def make_answer(
        self, headers: list[tuple[str, str]], last_event_id: str, event: str | None
    ) -> Answer:
        """Return the answer that becomes a stream. Raises Problem (503)."""
        if self._leaving:
            raise Problem("unavailable", "This process is leaving.")
        if len(self._streams) >= self._streams_max:
            raise Problem("overloaded", f"{self._streams_max} streams are open here already.")
        response = StreamAnswer(status=200, headers=headers)
        response.streams, response.last_event_id, response.event = self, last_event_id, event
        return response

    def adopt(
        self, client: socket.socket, head: bytes, last_event_id: str, event: str | None
    ) -> None:
        """Keep a connection as a stream: under a descriptor of its own, since its server closes it.

        The first state comes with the poller's next round, as new as everybody's.
        """
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MS)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        stream = _Stream(os.dup(client.fileno()), self._streams.discard, last_event_id, event)
        self._streams.add(stream)
        retry_ms = random.randint(*RETRY_MS)  # noqa: S311 - spreads load, hides nothing
        stream.send(head + f"retry: {retry_ms}\n\n".encode())
        self._behind = True
        if not self._polling:
            self._polling = True
            gevent.spawn(self._poll)

    def close(self) -> None:
        """End all streams, and take no more: this process leaves."""
        self._leaving = True
        self._end_all()

    def _end_all(self) -> None:
        for stream in list(self._streams):
            stream.close()

    def _poll(self) -> None:
        self._read_ms = clock_ms()
        try:
            while self._streams:
                began_ms = clock_ms()
                pause_ms = self._look()
                gevent.sleep(max(0, began_ms + pause_ms - clock_ms()) / 1000)
        except Exception:  # whatever it is: nobody may go on looking at numbers that stand still
            self._log.exception("the streams end")
            self._end_all()
        finally:
            self._polling = False

    def _look(self) -> float:
        """Read the stock, and tell whoever has not seen it; return when to look again.

        Reading counts by the wall clock: on Redis most of it is work of the shards.
        """
        began_ms, as_of_ms = clock_ms(), wall_ms()  # before it reads, as for `/remaining`
        try:
            self._changes.update(self._reader.events(), as_of_ms)
        except UNREADABLE as fault:
            if clock_ms() - self._read_ms > BLIND_MS:
                self._complaints.say("%d streams end: %s", len(self._streams), fault)
                self._end_all()
            return pause_ms_after(clock_ms() - began_ms, LOOK_MS)
        self._read_ms = clock_ms()
        pause_ms = pause_ms_after(self._read_ms - began_ms, LOOK_MS)
        if self._behind or self._told_version != self._changes.version:
            pause_ms = max(pause_ms, self._tell())
        if clock_ms() - self._swept_ms >= SWEEP_MS:
            self._sweep()
        return pause_ms

    def _tell(self) -> float:
        """Tell everybody who can be told, and return how long to pause at least after that."""
        self._behind = False
        version = self._told_version = self._changes.version
        told, spent_seconds, began = False, 0.0, thread_time()
        for count, stream in enumerate(list(self._streams), 1):
            if stream.closed:
                continue
            if stream.blocked:
                self._behind = True  # it is told when it has read what it was told before
                continue
            if stream.seen is None:
                stream.seen = self._changes.seen(stream.last_event_id)
            if data := self._changes.since(stream.seen, stream.event):
                stream.send(data)
                told = True
            stream.seen = version
            if count % SLICE == 0:
                spent_seconds += thread_time() - began
                gevent.sleep(0)
                began = thread_time()
        spent_seconds += thread_time() - began
        if not told:
            return LOOK_MS
        return pause_ms_after(1_000 * spent_seconds, PAUSE_MS)

    def _sweep(self) -> None:
        """Keep alive who was told nothing for long, and give up who takes nothing."""
        now_ms = self._swept_ms = clock_ms()
        for stream in list(self._streams):
            if stream.blocked and now_ms - stream.sent_ms > STUCK_MS:
                stream.close()
            elif not stream.blocked and now_ms - stream.sent_ms >= HEARTBEAT_MS:
                stream.send(HEARTBEAT)


class _Stream:
    """One connection. It holds at most one message that could not be sent whole."""

    __slots__ = (
        "_descriptor", "_on_close", "_readable", "_rest", "_writable",
        "closed", "event", "last_event_id", "seen", "sent_ms",
    )  # fmt: skip

    def __init__(
        self, descriptor: int, on_close: Any, last_event_id: str, event: str | None
    ) -> None:
        self.last_event_id = last_event_id
        self.event = event
        self.seen: int | None = None  # the version of the stock; None until it is looked up
        self.sent_ms = clock_ms()
        self.closed = False
        self._descriptor = descriptor
        self._on_close = on_close
        self._rest: memoryview | None = None
        loop = get_hub().loop
        self._writable = loop.io(descriptor, WRITE)
        self._readable = loop.io(descriptor, READ)
        self._readable.start(self.close)  # it hung up, or says what nobody asked for

    @property
    def blocked(self) -> bool:
        """Whether the client has not read what it was sent before."""
        return self._rest is not None

    def send(self, data: bytes | memoryview) -> None:
        """Send, or as much as goes; the rest follows as soon as the client reads."""
        try:
            sent = os.write(self._descriptor, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.close()
            if error.errno not in _GONE:
                raise
            return
        if sent:
            self.sent_ms = clock_ms()
        if sent == len(data):
            self._rest = None
            return
        if self._rest is None:
            self._writable.start(self._send_rest)
        self._rest = memoryview(data)[sent:]

    def close(self) -> None:
        """Let go of the connection."""
        if self.closed:
            return
        self.closed = True
        self._rest = None
        for watcher in (self._readable, self._writable):
            watcher.stop()
            watcher.close()
        os.close(self._descriptor)
        self._on_close(self)

    def _send_rest(self) -> None:
        if self._rest is not None:
            self.send(self._rest)
        if self._rest is None and not self.closed:
            self._writable.stop()
