"""A web process: gunicorn's gevent worker, but whoever got through is not cut off when it leaves.

gunicorn's own closes the listening socket as soon as it is told to leave. The kernel then resets
every connection that waits there to be accepted, requests that are sent already included; in a
crowd that is nearly everybody. Here all that wait are accepted first.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

LOOK_SECONDS: Final = 0.1  # between two looks whether to leave, and whether all are answered


class WebProcess(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Accepts and answers until told to leave; then answers all that it and the kernel accepted."""

    def run(self) -> None:
        """Serve, and return when everybody is answered."""
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(LOOK_SECONDS)
        for server in servers:
            _accept_all(server)
            server.close()
        limit = time.monotonic() + self.cfg.graceful_timeout
        while unanswered := sum(len(server.pool) for server in servers):
            if time.monotonic() > limit:
                self.log.error("left with %d connections open", unanswered)
                return
            self.notify()
            gevent.sleep(LOOK_SECONDS)

    def _serve(self, listener: Any) -> StreamServer:
        listener.setblocking(1)
        handle = partial(self.handle, _Address(listener))
        server = StreamServer(listener, handle=handle, spawn=Pool(self.worker_connections))
        if self.cfg.workers > 1:
            server.max_accept = 1  # leave some for the other web processes
        server.start()
        return server


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
