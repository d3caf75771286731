"""A web process: gunicorn's gevent worker, but whoever got through is not cut off when it leaves.

gunicorn's own closes the listening socket as soon as it is told to leave. The kernel then resets
every connection that waits there to be accepted, requests that are sent already included; in a
crowd that is nearly everybody. Here all that wait are accepted first, and by then the kernel lets
in nobody else (`door.py`). And gunicorn's lets an open connection that asks for nothing hold up the
leaving for the whole of `keepalive`; here it is closed after a second, unless a request has come
that is only not read yet.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.hub import get_hub
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)
from gunicorn.util import close as close_socket
from gunicorn.util import write_nonblock
from gunicorn.workers.ggevent import GeventWorker

from service.inbound import Inbound
from service.reply import HandedOver, Reply
from workers.settings import read_settings

if TYPE_CHECKING:
    from service.streams import Streams
    from workers.handoffs.couriers import Carrier
    from workers.ledgers import LedgerReader

LOOK_SECONDS: Final = 0.1  # between two looks whether to leave, and whether all are answered
THRESHOLD_SECONDS: Final = 0.2  # for a handshake that is under way; it takes one round trip
LAST_CALL_SECONDS: Final = 1.0  # for whoever has an open connection and asks for nothing


OUR_OWN: Final = (InvalidResponseHeader, InvalidResponseHeaderName)  # bugs, not the client's
_SLUGS: Final = {LimitRequestHeaders: "headers-too-large", LimitRequestLine: "address-too-long"}


class WebProcess(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Accepts and answers until told to leave; then answers all that it and the kernel accepted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: set[_Waiting] = set()
        self._names_clients = read_settings(os.environ).log_buyers

    def run(self) -> None:
        """Serve, and return when everybody is answered."""
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._hang_up_on_the_silent(self.cfg.keepalive)
            gevent.sleep(LOOK_SECONDS)
        self._drain(servers)
        reader: LedgerReader | None = self.wsgi.extensions.get("reader")
        if reader is not None:  # the benchmark's empty view has none
            reader.close()

    def _drain(self, servers: list[StreamServer]) -> None:
        told = time.monotonic()
        killed = told + self.cfg.graceful_timeout - 1
        self._end_streams()
        gevent.sleep(THRESHOLD_SECONDS)
        for server in servers:
            self._accept_all(server, killed)
            server.close()
        while unanswered := sum(len(server.pool) for server in servers) + self._unsettled():
            if time.monotonic() > told + THRESHOLD_SECONDS + LAST_CALL_SECONDS:
                self._hang_up_on_the_silent(0)
            if time.monotonic() > killed:
                self.log.error("left with %d requests and purchases open", unanswered)
                return
            self.notify()
            gevent.sleep(LOOK_SECONDS)

    def _accept_all(self, server: StreamServer, killed: float) -> None:
        """Accept what waits in the kernel; while there is no room, who is silent makes it.

        With room, nothing here lets other greenlets run, so nothing can come in between.
        """
        while time.monotonic() < killed:
            if server.full():
                self._hang_up_on_the_silent(LAST_CALL_SECONDS)
                self.notify()
                gevent.sleep(LOOK_SECONDS)
            elif accepted := server.do_read():
                server.do_handle(*accepted)
            else:
                return

    def _hang_up_on_the_silent(self, seconds: float) -> None:
        """Hang up on whoever has had so long to ask for something."""
        before = time.monotonic() - seconds
        for waiting in self._waiting:
            if waiting.since < before:
                get_hub().loop.run_callback(waiting.hang_up, before)

    def _end_streams(self) -> None:
        """Let go of who only looks on: they come back, to a process that stays."""
        streams: Streams | None = self.wsgi.extensions.get("streams")
        if streams is not None:
            streams.close()

    def _unsettled(self) -> int:
        """Count what was handed over and is not settled yet, though nobody may wait for it."""
        carrier: Carrier | None = self.wsgi.extensions.get("carrier")
        return carrier.in_flight if carrier else 0  # the benchmark's empty view has none

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer one connection's requests, until it or we hang up.

        gunicorn's own, without the TLS and HTTP/2 that are not set here.
        """
        client.setblocking(True)
        inbound = Inbound(self.cfg, client, addr, listener.getsockname())
        waiting = _Waiting(client, self._waiting)
        try:
            while True:
                with waiting:
                    reply, environ = inbound.next()
                self._answer(reply, environ)
        except (StopIteration, NoMoreData, _HungUp, gevent.GreenletExit):
            pass
        except TimeoutError:
            pass  # it takes nothing of its answer
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                self.log.exception("a connection failed")
        except BaseException as error:
            self.handle_error(inbound.request, client, addr, error)
        finally:
            close_socket(client)

    def _answer(self, reply: Reply, environ: dict[str, Any]) -> None:
        """Answer one request. Raises StopIteration if the connection ends with it.

        gunicorn's own, without the hooks, the access log and the limit of requests, which are
        not set here.
        """
        try:
            body = self.wsgi(environ, reply.start_response)
            if isinstance(body, HandedOver):
                raise StopIteration
            if not self.alive:  # perhaps since a moment ago: a purchase waits for its worker
                reply.force_close()
            try:
                for part in body:
                    reply.write(part)
                reply.close()
            finally:
                if hasattr(body, "close"):
                    body.close()
        except BaseException as error:
            if isinstance(error, OSError) or not reply.headers_sent:
                raise
            self.log.exception("an answer broke off")  # a second status line would only corrupt it
            raise StopIteration from None
        if reply.should_close():
            raise StopIteration

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Say what went wrong outside the application, in the words that every other error has."""
        if isinstance(exc, ParseException) and not isinstance(exc, OUR_OWN):
            who = addr[0] if addr and self._names_clients else "a client"
            self.log.warning("no request from %s: %s", who, exc)
            slug = _SLUGS.get(type(exc), "malformed-request")
            _tell(client, slug, f"This is not a request: {exc}")
        else:
            self.log.error("no answer to %s: %r", getattr(req, "uri", "?"), exc, exc_info=exc)
            _tell(client, "internal-error", "See the service's log.")

    def _serve(self, listener: Any) -> StreamServer:
        listener.setblocking(1)
        handle = partial(self.handle, _Address(listener))
        server = StreamServer(listener, handle=handle, spawn=Pool(self.worker_connections))
        if self.cfg.workers > 1:
            server.max_accept = 1  # leave some for the other web processes
        server.start()
        return server


def _tell(client: Any, slug: str, detail: str) -> None:
    """Answer with a problem document, and nothing more on this connection."""
    # Not before gevent has patched what Flask imports: the arbiter imports this file, too.
    from service.problems import KINDS, MEDIA_TYPE, document  # noqa: PLC0415

    body = document(slug, detail, "")
    head = (
        f"HTTP/1.1 {KINDS[slug].status} {KINDS[slug].title}\r\nConnection: close\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with suppress(OSError):
        write_nonblock(client, head.encode() + body)


class _Waiting:
    """A connection's waits for its next request; who is silent for too long is hung up on."""

    __slots__ = ("_client", "_everybody", "_greenlet", "since")

    def __init__(self, client: Any, everybody: set[_Waiting]) -> None:
        self._client = client
        self._everybody = everybody
        self._greenlet = gevent.getcurrent()
        self.since = 0.0

    def __enter__(self) -> None:
        self.since = time.monotonic()
        self._everybody.add(self)

    def __exit__(self, *_: object) -> None:
        self._everybody.discard(self)

    def hang_up(self, before: float) -> None:
        """End the wait that began before then, if the client is silent. For the event loop to call.

        A request may have come by now, and be in an answer's work already, where an exception
        would break it; or it may be there, but not read yet.
        """
        if self in self._everybody and self.since < before and _is_silent(self._client):
            self._greenlet.throw(_HungUp)


class _HungUp(BaseException):
    """Ends a wait for a request. Not an Exception: nobody but the wait itself shall catch it."""


def _is_silent(client: Any) -> bool:
    """Say whether nothing has come that is not read yet."""
    client.setblocking(False)
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:  # it is gone, as the greenlet will find
        return False
    finally:
        client.setblocking(True)
    return False


class _Address:
    """Answers what gunicorn asks its listening socket at each connection, closed or not."""

    def __init__(self, listener: Any) -> None:
        self._name = listener.getsockname()

    def getsockname(self) -> Any:
        """Return where the service listens."""
        return self._name
