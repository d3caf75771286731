"""A real `soldout serve` for tests, on a free port and in a data directory of its own.

Whatever a test starts is ended by its process id.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from workers.hearts import Hearts

ADMIN_KEY = "test-admin-key-0123456789abcdef"
START_SECONDS = 20
STOP_SECONDS = 30
# Of all that is random here; in the environment, so that tests beside each other have the same.
os.environ["SOLDOUT_TEST_SEED"] = os.environ.get("SOLDOUT_TEST_SEED") or str(secrets.randbits(32))
SEED = int(os.environ["SOLDOUT_TEST_SEED"])


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lets_in(port: int) -> bool:
    """Knock, and say whether the kernel answers; on one host it does so at once."""
    with socket.socket() as visitor:
        visitor.setblocking(False)
        visitor.connect_ex(("127.0.0.1", port))
        told = select.poll()  # not select(), which knows no descriptor above 1,023
        told.register(visitor, select.POLLOUT)
        return bool(told.poll(200)) and visitor.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def wait_until(
    condition: Callable[[], object], seconds: float, what: str | Callable[[], str]
) -> None:
    """Wait until `condition()` is true; fail with `what` after `seconds`."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, (
            f"not within {seconds} s: {what if isinstance(what, str) else what()}"
        )
        time.sleep(0.01)


def note(text: str) -> None:
    """Write down what a run saw: shown when its test fails, or with `pytest -s`."""
    sys.stdout.write(f"{text}\n")


def children_of(pid: int) -> list[int]:
    """Return the process ids whose parent is `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def title_of(pid: int) -> str:
    """Return a process's title as `ps` shows it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def state_of(pid: int) -> str:
    """Return the letter of a process's state (`T` is stopped, `Z` a zombie), or nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    return state_of(pid) not in ("", "Z")


AnySoldout = TypeVar("AnySoldout", bound="Soldout")


class Soldout:
    """One `soldout serve`: its address, its admin key, its processes."""

    command: Sequence[str] = ("serve",)

    def __init__(self, data_dir: Path, port: int | None = None, **settings: object) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_key = ADMIN_KEY
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SOLDOUT_")},
            "SOLDOUT_BIND": f"127.0.0.1:{self.port}",
            "SOLDOUT_DATA_DIR": str(data_dir),
            "SOLDOUT_ADMIN_KEY": self.admin_key,
            **{f"SOLDOUT_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.log_path = data_dir.parent / f"serve-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> Self:
        """Start the service and wait until it is ready."""
        process = self.launch().process
        assert process is not None
        wait_until(lambda: self.ready() or process.poll() is not None, START_SECONDS, self.log)
        assert process.poll() is None, self.log()
        wait_until(lambda: len(self.family()["web"]) == self.webs, START_SECONDS, self.log)
        return self

    def launch(self) -> Self:
        """Start the service and do not wait."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", *self.command],
                env=self.env,
                stdout=log,
                stderr=log,
                process_group=0,  # as a shell does, so that a test can press Ctrl-C
            )
        return self

    @property
    def webs(self) -> int:
        """How many web processes it has."""
        return int(self.env.get("SOLDOUT_WEB_PROCESSES", "2"))

    def ready(self) -> bool:
        """Say whether `/readyz` answers 200."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def log(self) -> str:
        """Return what the service has printed so far."""
        return self.log_path.read_text() if self.log_path.exists() else "(no log)"

    def terminate(self) -> int:
        """Ask the service to drain (SIGTERM) and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Kill the supervisor without warning (SIGKILL)."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def hearts(self) -> Hearts:
        """Return what the workers say of themselves."""
        return Hearts(self.data_dir / "run" / "hearts", int(self.env.get("SOLDOUT_WORKERS", "2")))

    def family(self) -> dict[str, list[int]]:
        """Return the process ids below the supervisor by role: `worker`, `gunicorn`, `web`."""
        roles: dict[str, list[int]] = {"worker": [], "gunicorn": [], "web": []}
        for pid in children_of(self.pid):
            title = title_of(pid)
            if title.startswith("soldout: worker"):
                roles["worker"].append(pid)
            elif title.startswith("soldout: gunicorn"):
                roles["gunicorn"].append(pid)
                roles["web"] += [
                    p for p in children_of(pid) if title_of(p).startswith("soldout: web")
                ]
        return roles

    def admin(self, method: str, path: str, body: object = None) -> requests.Response:
        """Send one request of the administration."""
        return requests.request(
            method,
            self.url + path,
            data=None if body is None else json.dumps(body),
            headers={
                "Authorization": f"Bearer {self.admin_key}",
                "Content-Type": "application/json",
            },
            timeout=30,
        )

    def put_event(self, event: str, **body: object) -> dict[str, Any]:
        """Create or change an event and return it; whoever is told to come again does."""
        limit = time.monotonic() + START_SECONDS
        while (answer := self.admin("PUT", f"/events/{event}", body)).status_code == 503:
            assert time.monotonic() < limit, answer.text
            time.sleep(0.1)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def audit(self, event: str) -> dict[str, Any]:
        """Return the event's audit, which must find it consistent."""
        answer = self.admin("GET", f"/events/{event}/audit")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert found["consistent"], found
        return found

    def buy(
        self, event: str, quantity: int = 1, key: str | None = None, **more: object
    ) -> requests.Response:
        """Post one purchase, under a key of its own unless one is given."""
        return requests.post(
            f"{self.url}/buy",
            json={"event": event, "quantity": quantity, **more},
            headers={"Idempotency-Key": key or secrets.token_hex(16)},
            timeout=40,
        )


@contextmanager
def serving(data_dir: Path, **settings: object) -> Iterator[Soldout]:
    """Start a service for the length of a `with` block, whatever happens there."""
    with ended(Soldout(data_dir, None, **settings)) as service:
        yield service.start()


@contextmanager
def ended(service: AnySoldout) -> Iterator[AnySoldout]:
    """End a service, if it runs then, with a `with` block."""
    try:
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            service.process.send_signal(signal.SIGCONT)  # a test may have stopped it
            try:
                service.terminate()
            except subprocess.TimeoutExpired:
                service.kill()
