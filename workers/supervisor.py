"""The supervisor of one host: the pool on one side, the web's server on the other.

It starts the pool, then the web; restarts what dies; and on SIGTERM or SIGINT drains the web first,
while the workers still answer, and the pool last. Signal handlers only record; the loop acts.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Final

from workers.errors import BootFailed
from workers.pool import Pool
from workers.processes import end_with_parent, set_title
from workers.settings import Settings, make_admin_key

log = logging.getLogger(__name__)

SPARE_DESCRIPTORS: Final = 256  # a web process's own: ledger, lanes, libraries
LOOK_SECONDS: Final = 0.1  # between two looks at hearts; a worker's death wakes the loop at once
TAKEOVER_SECONDS: Final = 1.0  # how long a killed predecessor's processes may take to vanish
READY_SECONDS: Final = 0.3  # for an answer of /readyz; hearts are not looked at meanwhile
WEB_BOOT_FAILED: Final = frozenset({3, 4})  # gunicorn's statuses for a web process that cannot boot
WEB_EARLY_DEATHS_MAX: Final = 5  # in a row without ever being ready: it cannot work here


class Supervisor:
    """Runs until told to stop: `web` is its command, `when_ready` one to run once it sells."""

    def __init__(
        self, settings: Settings, web: list[str], when_ready: list[str] | None = None
    ) -> None:
        self._settings = settings
        self._pool = Pool(settings)
        self._web = Web(web, settings)
        self._when_ready = when_ready
        self._helper: subprocess.Popen[bytes] | None = None
        self._ledger = LedgerFile(settings)
        self._stopping = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises BootFailed if the service cannot work."""
        set_title("supervisor")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            self._serve()
            self._drain()
        finally:
            self._web.kill()
            self._pool.kill()

    def _stop(self, _signal: int, _frame: object) -> None:
        self._stopping = True

    def _serve(self) -> None:
        self._pool.start()
        while not self._stopping and not self._pool.ready:
            self._look()
        if self._stopping:
            return
        self._ledger.remember()
        self._web.start()
        self._wait_for_web()
        self._announce()
        while not self._stopping:
            self._look()
            if self._web.reap():
                self._wait_for_web()

    def _wait_for_web(self) -> None:
        while not self._stopping and not self._web.ready():
            self._look()
            self._web.reap()

    def _look(self) -> None:
        wait(self._pool.sentinels, LOOK_SECONDS)
        self._pool.manage()
        self._ledger.check()
        if self._helper is not None and self._helper.poll() is not None:
            self._helper = None

    def _announce(self) -> None:
        if self._stopping:
            return
        log.info("selling at http://%s", self._settings.bind)
        if self._settings.admin_key is None:
            log.info("the admin key is in %s", self._settings.admin_key_path)
        if self._when_ready:
            self._helper = subprocess.Popen(self._when_ready)  # noqa: S603 - our own command

    def _drain(self) -> None:
        """Stop in the order in which nothing is lost.

        1. The web accepts no more, and answers what it accepted.
        2. Meanwhile the pool goes on, deaths and replacements included.
        3. When the web is gone nobody can ask: the workers finish what waits, and leave.
        """
        log.info("draining")
        self._web.terminate()
        while self._web.running:
            self._look()
        self._pool.drain()
        log.info("stopped")


class Web:
    """The web's server: gunicorn, in a session of its own, so that Ctrl-C does not cut it off."""

    def __init__(self, command: list[str], settings: Settings) -> None:
        self._command = command
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


class LedgerFile:
    """The ledger's place in the file system: sales into a file that was removed would be lost."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.ledger_path
        self._known: tuple[int, int] | None = None
        log.info("%s %s", "the ledger" if self._path.exists() else "a new ledger:", self._path)

    def remember(self) -> None:
        """Take the file that is there now for the ledger."""
        self._known = self._look()

    def check(self) -> None:
        """Raise BootFailed if another file, or none, has taken the ledger's place."""
        if self._known is not None and self._look() != self._known:
            raise BootFailed(f"the ledger {self._path} was removed or replaced while it was in use")

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


def serve(settings: Settings, web: list[str], when_ready: list[str] | None = None) -> None:
    """Run the whole service of one host. Raises BadSetting or BootFailed."""
    os.umask(0o077)
    raise_descriptor_limit(settings)
    with sole_use_of(settings):
        check_address(settings)
        settings.run_path.mkdir(exist_ok=True)
        make_admin_key(settings)
        Supervisor(settings, web, when_ready).run()


def check_address(settings: Settings) -> None:
    """Say at once what gunicorn would find out after many tries. Raises BootFailed."""
    host, port = settings.address
    limit = time.monotonic() + TAKEOVER_SECONDS
    while True:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if time.monotonic() > limit or error.errno != errno.EADDRINUSE:
                reason = error.strerror or error
                raise BootFailed(f"cannot listen on {settings.bind}: {reason}") from None
            time.sleep(0.02)
        else:
            return


@contextmanager
def sole_use_of(settings: Settings) -> Iterator[None]:
    """Hold the data directory, made private to this user, for ourselves. Raises BootFailed.

    Workers inherit the descriptor: while one of a killed predecessor lives, nobody else may start.
    """
    path = settings.data_path
    try:
        _make_private(path)
        descriptor = os.open(path / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BootFailed(f"the data directory {path} cannot be used: {error}") from None
    try:
        _lock_file(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    """Make the directory, or close one that is ours to others. Raises BootFailed, OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = {entry.name for entry in path.iterdir()}
    if there - {"lost+found"} and not there & {"serve.lock", "ledger.db", "admin-key"}:
        raise BootFailed(f"{path} holds what is not soldout's: name a directory of its own")
    path.chmod(0o700)


def raise_descriptor_limit(settings: Settings) -> None:
    """Let a web process have as many connections as it may be asked for."""
    wanted = settings.connections_max + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log.warning(
                "only %d open files are allowed (ulimit -n); %d may be needed", allowed, wanted
            )


def _lock_file(descriptor: int, path: object) -> None:
    limit = time.monotonic() + TAKEOVER_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                raise BootFailed(f"another soldout already serves from {path}") from None
            time.sleep(0.02)
        else:
            return
