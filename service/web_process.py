"""A web process: gunicorn's gevent worker, but whoever got through is not cut off when it leaves.

gunicorn's own closes the listening socket as soon as it is told to leave. The kernel then resets
every connection that waits there to be accepted, requests that are sent already included; in a
crowd that is nearly everybody. Here all that wait are accepted first. And gunicorn's lets an open
connection that asks for nothing hold up the leaving for the whole of `keepalive`.
"""

from __future__ import annotations

import time
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

LOOK_SECONDS: Final = 0.1  # between two looks whether to leave, and whether all are answered
LAST_CALL_SECONDS: Final = 1.0  # for whoever has an open connection and asks for nothing


class WebProcess(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Accepts and answers until told to leave; then answers all that it and the kernel accepted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: set[_Waiting] = set()

    def run(self) -> None:
        """Serve, and return when everybody is answered."""
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(LOOK_SECONDS)
        for server in servers:
            _accept_all(server)
            server.close()
        told = time.monotonic()
        while unanswered := sum(len(server.pool) for server in servers):
            if time.monotonic() > told + LAST_CALL_SECONDS:
                for waiting in list(self._waiting):
                    waiting.give_up()
            if time.monotonic() > told + self.cfg.graceful_timeout:
                self.log.error("left with %d connections open", unanswered)
                return
            self.notify()
            gevent.sleep(LOOK_SECONDS)

    def timeout_ctx(self) -> _Waiting:
        """Return what surrounds the wait for a connection's next request."""
        return _Waiting(self.cfg.keepalive, self._waiting)

    def _serve(self, listener: Any) -> StreamServer:
        listener.setblocking(1)
        handle = partial(self.handle, _Address(listener))
        server = StreamServer(listener, handle=handle, spawn=Pool(self.worker_connections))
        if self.cfg.workers > 1:
            server.max_accept = 1  # leave some for the other web processes
        server.start()
        return server


class _Waiting(gevent.Timeout):  # type: ignore[misc]  # gevent has no types
    """A wait for a connection's next request: ends after `keepalive`, or when it is given up."""

    def __init__(self, seconds: float, everybody: set[_Waiting]) -> None:
        super().__init__(seconds, False)
        self._everybody = everybody
        self._greenlet = gevent.getcurrent()

    def __enter__(self) -> Self:
        self._everybody.add(self)
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._everybody.discard(self)
        ended: bool | None = super().__exit__(kind, error, trace)
        return ended

    def give_up(self) -> None:
        """End the wait as if its time were over."""
        gevent.kill(self._greenlet, self)


class _Address:
    """Answers what gunicorn asks its listening socket at each connection, closed or not."""

    def __init__(self, listener: Any) -> None:
        self._name = listener.getsockname()

    def getsockname(self) -> Any:
        """Return where the service listens."""
        return self._name


def _accept_all(server: StreamServer) -> None:
    """Accept what waits. Nothing here lets other greenlets run, so nothing can come in between."""
    while accepted := server.do_read():
        server.do_handle(*accepted)
