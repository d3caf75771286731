"""One server process on loopback: started, killed, stopped and started again where it was.

What it is told stands in a configuration file, written once: Redis and Sentinel write into it what
they learn. Its files are in a directory of its own below the system's, where paths are short.
Start it in a thread that lives as long as it shall: the kernel ends it with that thread.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.harness import STOP_SECONDS, state_of, wait_until
from tests.servers import launch
from tests.servers.programs import FLAVOURS, Flavour, lasting_port, program

START_SECONDS: Final = 20
CLIENT_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 1.0  # another may listen there, and never answer
HOST: Final = "127.0.0.1"


def connect(url: str, **options: Any) -> redis.Redis:
    """Return a client that tries once and gives strings; `options` are the driver's own."""
    once = {"retry": Retry(NoBackoff(), 0), "socket_timeout": CLIENT_SECONDS}
    return redis.Redis.from_url(url, **{"decode_responses": True, **once, **options})


class Startable(ABC):
    """Something that is started for a `with` block, and ended whatever happens there."""

    @abstractmethod
    def start(self) -> Self:
        """Start it, and wait until it can be used."""

    @abstractmethod
    def close(self) -> None:
        """End it, and leave nothing."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ServerProcess(Startable):
    """A process of `redis-server`, whatever it is told to be."""

    def __init__(self, flavour: Flavour | None, config: list[str]) -> None:
        self.flavour: Flavour = flavour or FLAVOURS[0]
        self.more_config = config
        self.directory = Path(tempfile.mkdtemp(prefix="soldout-redis-"))
        self.data_dir = self.directory / "data"
        self.config_path = self.directory / "server.conf"
        self.log_path = self.directory / "server.log"
        self.port = lasting_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._answered = False  # on this port, which is ours since
        self._clients: list[redis.Redis] = []

    # --- what it is ---

    @abstractmethod
    def config(self) -> list[str]:
        """Return the lines of its configuration, with the port as it is now."""

    def arguments(self) -> list[str]:
        """Return what follows the configuration file on the command line."""
        return []

    @property
    @abstractmethod
    def admin_url(self) -> str:
        """Where and as whom everything is allowed."""

    # --- its life ---

    def start(self) -> Self:
        """Start it, on the port and with the data it had, and wait until it answers."""
        self.launch()
        return self.wait()

    def launch(self) -> None:
        """Start it and do not wait."""
        assert not self.running, f"it runs already: {self.pid}"
        found = program(self.flavour)
        assert found is not None, f"this machine has no {self.flavour} server"
        self.data_dir.mkdir(exist_ok=True)
        if not self.config_path.exists():
            self.config_path.write_text("\n".join([*self.config(), *self.more_config, ""]))
        bootstrap = [sys.executable, "-P", launch.__file__, str(os.getpid())]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*bootstrap, str(found), str(self.config_path), *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                process_group=0,  # Ctrl-C is for the tests
            )

    def wait(self) -> Self:
        """Wait until it answers; whose port was taken meanwhile gets another, or waits for his."""
        limit = time.monotonic() + START_SECONDS
        while not self.answers():
            assert time.monotonic() < limit, f"no answer in {START_SECONDS} s\n{self.log()}"
            if not self.running:
                assert "Address already in use" in self.log(), self.log()
                if not self._answered:
                    self.port = lasting_port()
                    self.config_path.unlink()
                self.launch()
            time.sleep(0.01)
        self._answered = True
        return self

    def answers(self) -> bool:
        """Say whether this very process answers, with all its data loaded."""
        if not self.running:
            return False
        try:
            with self.admin(socket_timeout=PROBE_SECONDS) as admin:
                told = admin.execute_command("INFO", "server")  # while it still loads its data, too
                return bool(int(told["process_id"]) == self.pid and admin.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """Kill it without warning (SIGKILL)."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Ask it to end (SIGTERM), and wait until it has."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(STOP_SECONDS)

    def restart(self) -> Self:
        """Kill it if it runs, and start it again: same port, same data."""
        if self.running:
            self.kill()
        return self.start()

    def pause(self) -> None:
        """Stop the process where it stands (SIGSTOP). Connections stay; nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(self.pid) == "T", STOP_SECONDS, "stopped")

    def go_on(self) -> None:
        """Let it go on after `pause` (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove its files."""
        self.close_clients()
        if self.running:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- looking ---

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        assert self.process is not None
        return self.process.pid

    @property
    def address(self) -> str:
        """Its host and port, as URLs have it."""
        return f"{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Say whether there is a process; it may be stopped."""
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """Return what it has printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else "(no log)"

    def admin(self, **options: Any) -> redis.Redis:
        """Return a client that may do everything, for a `with` block."""
        return connect(self.admin_url, **options)

    def ask(self, *words: str | int) -> Any:
        """Ask it one thing, as one who may do everything: `ask("CONFIG GET", "save")`."""
        with self.admin() as admin:
            return admin.execute_command(*words)

    def _kept(self, client: redis.Redis) -> redis.Redis:
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Close the clients it gave away."""
        while self._clients:
            self._clients.pop().close()
