"""A small HTTP server of its own for `/metrics`: for a host that has workers and no web.

What it says is all that the host says of itself; stock and shards any web says. It is meant for a
private network, and asks for no key.
"""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import signal
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from multiprocessing.context import ForkProcess
from typing import Any, Final

from workers.errors import BootFailed
from workers.exposition import MEDIA_TYPE, write
from workers.host_metrics import HostMetrics
from workers.processes import end_with_parent, set_title
from workers.settings import Settings

log = logging.getLogger(__name__)

SILENT_SECONDS: Final = 5.0  # a client that says nothing for so long is hung up on


class MetricsServer:
    """The process that serves `SOLDOUT_METRICS_BIND`; call `manage` often. Raises BootFailed."""

    def __init__(self, settings: Settings, address: tuple[str, int]) -> None:
        self._settings = settings
        self._address = address
        self._process: ForkProcess | None = None
        try:
            self._server = _server(address)
        except OSError as error:
            raise BootFailed(
                f"cannot listen on {settings.metrics_bind}: {error.strerror or error}"
            ) from None

    def manage(self) -> None:
        """Start the process, and start it again if it ended."""
        if self._process is not None and self._process.exitcode is not None:
            log.warning("the metrics' server ended with status %s", self._process.exitcode)
            self._process = None
        if self._process is None:
            self._process = mp.get_context("fork").Process(
                target=_serve, args=(self._server, self._settings, os.getpid())
            )
            self._process.start()

    def kill(self) -> None:
        """End the process, if it runs, and listen no more."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._server.server_close()


def _server(address: tuple[str, int]) -> HTTPServer:
    family, _, _, _, found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]

    class Server(ThreadingHTTPServer):
        address_family = family

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
            log.warning("a request for metrics failed", exc_info=True)

    return Server((str(found[0]), int(found[1])), _Handler)


def _serve(server: HTTPServer, settings: Settings, parent_pid: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor ends it, last of all
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent(parent_pid)
    set_title("metrics")
    _Handler.host = HostMetrics(settings)
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    host: HostMetrics
    timeout = SILENT_SECONDS

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        page = write(self.host.families())
        self.send_response(200)
        self.send_header("Content-Type", MEDIA_TYPE)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        """Keep a scrape out of the log."""
