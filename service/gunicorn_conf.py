"""gunicorn's settings for the web processes; gunicorn reads this file, and calls its hooks."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from queue import Empty
from typing import Any

from service.door import let_in_nobody_else
from workers.processes import end_with_parent, set_title, spare_the_collector
from workers.settings import read_settings

_settings = read_settings(os.environ)
# gunicorn would take it off addresses, and our pages know no prefix.
os.environ.pop("SCRIPT_NAME", None)

bind = _settings.bind
workers = _settings.web_processes
worker_class = "service.web_process.WebProcess"
worker_connections = _settings.connections_max
backlog = 4_096  # a flash crowd connects within one second; the kernel cuts it to somaxconn
timeout = 30  # only a heartbeat of the process with gevent; deadlines of purchases are ours
keepalive = 5  # longer than a buyer's second click, short enough for a drain
# Whatever was accepted gets its answer, even to a request that comes when its connection is old.
graceful_timeout = keepalive + int(_settings.deadline_seconds) + 1
control_socket_disable = True  # it needs a writable home
forwarded_allow_ips = "127.0.0.1,::1"
proc_name = "soldout"
loglevel = "warning"
logger_class = "service.gunicorn_log.GunicornLog"
limit_request_line = 4_094
limit_request_fields = 64
limit_request_field_size = 8_190


def on_starting(server: Any) -> None:
    """Have the arbiter shut the door before it closes its sockets, if these end with it."""
    stop = server.stop

    def shut_and_stop(*args: Any, **kwargs: Any) -> None:
        alone = server.reexec_pid == server.master_pid == 0 and not server.systemd
        for listener in server.LISTENERS if alone else ():
            let_in_nobody_else(listener.sock)
        stop(*args, **kwargs)

    server.stop = shut_and_stop


def pre_fork(server: Any, worker: Any) -> None:
    """Give a web process the lowest free number, and the arbiter our title, not gunicorn's."""
    set_title("gunicorn")
    taken = {other.soldout_number for other in server.WORKERS.values()}
    worker.soldout_number = min(n for n in range(1, len(taken) + 2) if n not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """End with the arbiter, however it ends, and hear from now on that it is time to leave.

    Until here what the arbiter sends meets the arbiter's own handler, which only puts it on a list
    that nobody reads in this process; so it would be forgotten, and the leaving take half a minute.
    """
    end_with_parent(server.pid)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    with suppress(Empty):
        while True:
            if server.SIG_QUEUE.get_nowait() == signal.SIGTERM:
                worker.alive = False


def child_exit(server: Any, worker: Any) -> None:
    """Say which web process ended and how, as the supervisor does of its own."""
    status = server.log.status_of(worker.pid)
    if status is not None:
        then = "started again" if server.LISTENERS else "the service ends"
        server.log.warning("web %d ended with status %s: %s", worker.soldout_number, status, then)


def post_worker_init(worker: Any) -> None:
    """Name the web process, and make it ready for a crowd."""
    set_title(f"web {worker.soldout_number}")
    extensions = getattr(worker.wsgi, "extensions", {})
    if "measures" in extensions:  # the benchmark's empty view has none
        extensions["measures"].join(
            worker.soldout_number, extensions["carrier"], extensions["streams"]
        )
    spare_the_collector()
