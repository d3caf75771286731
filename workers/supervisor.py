"""The supervisor of one host: the pool on one side, the web's server on the other, or one of both.

It starts the pool, then the web; restarts what dies; and on SIGTERM or SIGINT drains the web first,
while the workers still answer, and the pool last. Signal handlers only record; the loop acts.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final

from workers.data_dir import sole_use_of
from workers.errors import BadSetting, BootFailed, Unavailable
from workers.hearts import wall_ms
from workers.metrics import SERVERS, SINCE, WORKERS, Metrics, Slot
from workers.pool import LOOK_SECONDS, Pool, Site
from workers.premises import check_address, check_traces, raise_descriptor_limit
from workers.processes import end_with_parent, set_title
from workers.settings import Settings, make_admin_key

if TYPE_CHECKING:
    from workers.metrics_server import MetricsServer

log = logging.getLogger(__name__)

READY_USUAL_SECONDS: Final = 5.0  # from the start of the web; without workers it takes for ever
READY_SECONDS: Final = 0.3  # for an answer of /readyz; hearts are not looked at meanwhile
PREPARE_AGAIN_SECONDS: Final = 0.5  # a Redis that restarts is not back in less
WEB_BOOT_FAILED: Final = frozenset({3, 4})  # gunicorn's statuses for a web process that cannot boot
WEB_EARLY_DEATHS_MAX: Final = 5  # in a row without ever being ready: it cannot work here


class Supervisor:
    """Runs until told to stop. `when_ready` is a command to run once the service sells."""

    def __init__(
        self,
        settings: Settings,
        site: Site,
        pool: Pool | None,
        web: Web | None,
        when_ready: list[str] | None = None,
    ) -> None:
        self._metrics = _metrics_server(settings)
        self._settings = settings
        self._site = site
        self._pool = pool
        self._web = web
        self._when_ready = when_ready
        self._helper: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises BadSetting, BootFailed if it cannot work."""
        set_title("supervisor")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            self._serve()
            self._drain()
        finally:
            if self._web:
                self._web.kill()
            if self._pool:
                self._pool.kill()
            if self._metrics:
                self._metrics.kill()

    def _stop(self, _signal: int, _frame: object) -> None:
        self._stopping = True

    def _serve(self) -> None:
        if self._metrics:
            self._metrics.manage()
        self._prepare()
        self._start_pool()
        self._start_web()
        self._announce()
        while not self._stopping:
            self._look()
            if self._web and self._web.reap():
                self._wait_for(self._web)

    def _prepare(self) -> None:
        """Look at the site, however long it cannot be reached."""
        said = False
        while not self._stopping:
            try:
                self._site.prepare()
            except Unavailable as fault:
                if not said:
                    log.warning("not yet: %s", fault)
                said = True
                time.sleep(PREPARE_AGAIN_SECONDS)
            else:
                return

    def _start_pool(self) -> None:
        if self._pool is None or self._stopping:
            return
        self._pool.start()
        while not self._stopping and not self._pool.ready:
            self._look()

    def _start_web(self) -> None:
        if self._web is None or self._stopping:
            return
        self._web.start()
        self._wait_for(self._web)

    def _wait_for(self, web: Web) -> None:
        said_after = time.monotonic() + READY_USUAL_SECONDS
        while not self._stopping and not web.ready():
            self._look()
            web.reap()
            if time.monotonic() > said_after:
                log.warning("not ready yet; http://%s/readyz says why", self._settings.bind)
                said_after = math.inf

    def _look(self) -> None:
        if self._pool:
            self._pool.manage()
        else:
            time.sleep(LOOK_SECONDS)
        if self._metrics:
            self._metrics.manage()
        if self._helper is not None and self._helper.poll() is not None:
            self._helper = None

    def _announce(self) -> None:
        if self._stopping:
            return
        if self._web is None:
            log.info("%d workers are ready", self._settings.workers)
            return
        log.info("selling at http://%s", self._settings.bind)
        log.info("the box office is at http://%s/admin", self._settings.bind)
        if self._settings.admin_key is None:
            log.info("the admin key is in %s", self._settings.admin_key_path)
        if self._when_ready:
            self._helper = subprocess.Popen(self._when_ready)  # noqa: S603 - our own command

    def _drain(self) -> None:
        """Stop in the order in which nothing is lost.

        1. The web accepts no more, and answers what it accepted.
        2. Meanwhile the pool goes on, deaths and replacements included.
        3. When the web is gone nobody here can ask: the workers finish what waits, and leave.
        """
        log.info("draining")
        if self._web:
            self._web.terminate()
            while self._web.running:
                self._look()
        if self._pool:
            self._pool.drain()
        log.info("stopped")


class Web:
    """The web's server: gunicorn, in a session of its own, so that Ctrl-C does not cut it off."""

    def __init__(self, command: list[str], settings: Settings, slot: Slot) -> None:
        self._command = command
        self._slot = slot
        self._address = settings.address
        self._process: subprocess.Popen[bytes] | None = None
        self._early_deaths = 0

    def start(self) -> None:
        """Start the server."""
        parent_pid = os.getpid()
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(parent_pid),  # noqa: PLW1509 - this process has one thread
        )

    @property
    def running(self) -> bool:
        """Whether the server has not ended."""
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Whether purchases can be made: asks `/readyz`, as anybody would."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._address[0], self._address[0])  # noqa: S104
        try:
            with socket.create_connection(
                (host, self._address[1]), timeout=READY_SECONDS
            ) as connection:
                connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                ready = b" 200 " in connection.recv(64)
        except OSError:
            return False
        if ready:
            self._early_deaths = 0
        return ready

    def reap(self) -> bool:
        """Start the server again if it ended; say so. Raises BootFailed if that would not help."""
        if self._process is None or self._process.poll() is None:
            return False
        status = self._process.returncode
        self._early_deaths += 1
        if status in WEB_BOOT_FAILED or self._early_deaths > WEB_EARLY_DEATHS_MAX:
            raise BootFailed("the web cannot start; the reason stands above")
        log.warning("the web's server ended with status %s: started again", status)
        self._slot.count(SERVERS.at)
        self.start()
        return True

    def terminate(self) -> None:
        """Ask the server to drain."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the server at once; its children end with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def serve(
    settings: Settings, *, pool: bool, web: list[str] | None, when_ready: list[str] | None = None
) -> None:
    """Run a pool, a web (by its command), or both. Raises BadSetting or BootFailed."""
    if settings.lock == "process" and not (pool and web):
        raise BadSetting(
            "SOLDOUT_LOCK='process': pool and web apart meet in Redis only; set it to redis"
        )
    os.umask(0o077)
    if web:
        check_traces(settings)
        raise_descriptor_limit(settings)
    with sole_use_of(settings.data_path) as keep:
        if web:
            check_address(settings)
            make_admin_key(settings)
        keep()
        settings.run_path.mkdir(exist_ok=True)
        slot = Slot(Metrics(settings.metrics_path, create=True).supervisor)
        slot.set(SINCE, wall_ms())
        slot.set(WORKERS, settings.workers if pool else 0)
        site = make_site(settings, pool=pool)
        Supervisor(
            settings,
            site,
            Pool(settings, site, slot) if pool else None,
            Web(web, settings, slot) if web else None,
            when_ready,
        ).run()


def _metrics_server(settings: Settings) -> MetricsServer | None:
    """Return a server for metrics alone, if there shall be one; few need what it loads."""
    if settings.metrics_address is None:
        return None
    from workers.metrics_server import MetricsServer  # noqa: PLC0415

    return MetricsServer(settings, settings.metrics_address)


def make_site(settings: Settings, *, pool: bool) -> Site:
    """Return what the workers share; drivers are loaded only for the one that is chosen.

    `pool`: whether this host has workers.
    """
    if settings.lock == "redis":
        from workers.many_hosts import ManyHosts  # noqa: PLC0415

        return ManyHosts(settings, pool=pool)
    from workers.one_host import OneHost  # noqa: PLC0415

    return OneHost(settings)
