"""The log: one format for all processes, and if asked for a line a request without a secret."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from service.access_log import LINES_MAX
from tests.e2e.conftest import MOMENT, Visitor
from tests.harness import Soldout, ended, serving, state_of, wait_until

PIPE_PAGE = 4_096  # a pipe is full when it has no whole one left
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    """A service whose log has a line for each request."""
    with serving(tmp_path_factory.mktemp("logged") / "data", access_log=1) as service:
        yield service


@pytest.fixture
def buyer(logged: Soldout) -> Iterator[Visitor]:
    visitor = Visitor(logged.url)
    yield visitor
    visitor.session.close()


@pytest.fixture
def hall(logged: Soldout) -> str:
    """An event of the test's own."""
    name = f"hall-{secrets.token_hex(6)}"
    logged.put_event(name, capacity=3)
    return name


def lines(service: Soldout) -> list[dict[str, Any]]:
    """Return the whole lines of the log, each of which must be JSON."""
    return [json.loads(line) for line in service.log().splitlines(keepends=True) if "\n" in line]


def lines_with(service: Soldout, count: int, **fields: object) -> list[dict[str, Any]]:
    """Wait for so many lines with these fields; return them."""

    def found() -> list[dict[str, Any]]:
        return [line for line in lines(service) if fields.items() <= line.items()]

    wait_until(lambda: len(found()) >= count, 5, service.log)
    assert len(found()) == count
    return found()


def test_a_purchase_has_one_line_that_says_how_it_went(
    logged: Soldout, buyer: Visitor, hall: str
) -> None:
    order = buyer.post(
        "/buy",
        {"event": hall, "quantity": 2, "buyer": "ann@example.com"},
        Traceparent=f"00-{TRACE}-00f067aa0ba902b7-01",
    ).json()
    buyer.post("/buy", {"event": hall, "quantity": 2})
    sold, refused = lines_with(logged, 2, message="request", event=hall)
    assert order["id"].startswith(sold["purchase"])
    assert (sold["route"], sold["method"], sold["status"]) == ("/buy", "POST", 201)
    assert (sold["outcome"], sold["trace_id"]) == ("sold", TRACE)
    assert 0 <= sold["queue_ms"] + sold["worker_ms"] <= sold["total_ms"]
    assert MOMENT.fullmatch(sold["at"])
    assert re.fullmatch(r"web [12]", sold["process"])
    assert sold["pid"] in logged.family()["web"]
    assert (refused["status"], refused["outcome"]) == (409, "sold-out")
    assert "trace_id" not in refused


def test_other_requests_have_a_line_too_by_their_route(
    logged: Soldout, buyer: Visitor, hall: str
) -> None:
    def counted() -> list[int]:
        routes = [line.get("route") for line in lines(logged)]
        return [routes.count("/remaining/<event_id>"), routes.count("none")]

    before = counted()
    buyer.get(f"/remaining/{hall}")
    buyer.get(f"/{hall}-is-no-route")
    wait_until(lambda: counted() == [n + 1 for n in before], 5, logged.log)


def test_no_secret_and_nobodys_name_is_in_the_log(
    logged: Soldout, buyer: Visitor, hall: str
) -> None:
    key = secrets.token_hex(16)
    body = {"event": hall, "quantity": 1, "buyer": "ann@example.com"}
    order = buyer.post("/buy", body, Idempotency_Key=key).json()
    assert buyer.get(f"/orders/{order['id']}").status_code == 200
    assert logged.admin("GET", f"/orders?key={key}").status_code == 200
    wait_until(lambda: '"route":"/orders"' in logged.log(), 5, logged.log)
    text = logged.log()
    for secret in (
        *(key, order["id"], order["tickets"][0]["code"], logged.admin_key),
        *("ann@example.com", '127.0.0.1"'),
    ):
        assert secret not in text, secret


def test_the_settings_may_allow_names(tmp_path: Path) -> None:
    with serving(tmp_path / "data", access_log=1, log_buyers="true") as service:
        service.put_event("gala", capacity=3)
        service.buy("gala", buyer='"Ann" é')
        [line] = lines_with(service, 1, event="gala")
    assert (line["buyer"], line["client"]) == ('"Ann" é', "127.0.0.1")


@pytest.mark.parametrize(("share", "found"), [(None, 0), (0, 0), (1, 20)])
def test_by_default_a_request_leaves_no_line(tmp_path: Path, share: int | None, found: int) -> None:
    settings = {} if share is None else {"access_log": share}
    with serving(tmp_path / "data", **settings) as service:
        for _ in range(20):
            requests.get(f"{service.url}/remaining", timeout=5)
    routes = [line.get("route") for line in lines(service)]  # when it has left, all are written
    assert routes.count("/remaining") == found


class LoggingTo(Soldout):
    """A service whose log goes where a test says."""

    def __init__(self, log: int, data_dir: Path) -> None:
        super().__init__(data_dir, web_processes=1, access_log=1)
        self._log = log

    def launch(self) -> Self:
        """Start it and do not wait."""
        command = [sys.executable, "-m", "service", *self.command]
        self.process = subprocess.Popen(
            command, env=self.env, stdout=self._log, stderr=self._log, process_group=0
        )
        return self


def look_often(service: Soldout, count: int) -> bytes:
    """Ask so many times at once on one connection, and return all answers."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as line:
        line.sendall(b"GET /remaining/gala HTTP/1.1\r\nHost: x\r\n\r\n" * count)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(1 << 20), b""))


def test_a_log_that_cannot_be_written_spoils_no_answer(tmp_path: Path) -> None:
    """A sale that is in the ledger would be told as a fault: many lines are written at once."""
    count = 4 * LINES_MAX
    with (
        Path("/dev/full").open("wb") as full,
        ended(LoggingTo(full.fileno(), tmp_path / "data")) as service,
    ):
        service.start().put_event("gala", capacity=1)
        assert look_often(service, count).count(b"HTTP/1.1 200 OK") == count
        assert service.buy("gala").status_code == 201
        assert service.terminate() == 0


def test_a_signal_cuts_no_line_off(tmp_path: Path) -> None:
    """Whoever reads the log is slow, so that the web process waits in the middle of a line."""
    count, found = 4 * LINES_MAX, bytearray()
    reads, writes = os.pipe()
    room = fcntl.fcntl(writes, fcntl.F_GETPIPE_SZ)

    def fill_up() -> bool:
        told = fcntl.ioctl(reads, termios.FIONREAD, bytes(4))
        return int.from_bytes(told, sys.byteorder) > room - PIPE_PAGE

    def read_on() -> None:
        while piece := os.read(reads, 1 << 20):
            found.extend(piece)

    reader, asking = threading.Thread(target=read_on), ThreadPoolExecutor(1)
    with ended(LoggingTo(writes, tmp_path / "data")) as service, asking:
        service.start().put_event("gala", capacity=1)
        os.close(writes)
        asking.submit(look_often, service, count)
        wait_until(fill_up, 20, "the pipe is full")
        [web] = service.family()["web"]
        wait_until(lambda: state_of(web) == "S", 20, "it waits")
        os.kill(web, signal.SIGUSR1)
        reader.start()
        wait_until(
            lambda: found.count(b'"route":"/remaining/<event_id>"') == count, 20, "all lines"
        )
    reader.join()
    os.close(reads)
    for line in found.splitlines():
        json.loads(line)


def send_garbage(service: Soldout) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
        connection.sendall(b"\0nonsense\r\n\r\n")
        connection.recv(1_000)


def kill_a_web(service: Soldout) -> None:
    os.kill(service.family()["web"][0], signal.SIGKILL)


def kill_a_worker(service: Soldout) -> None:
    os.kill(service.family()["worker"][0], signal.SIGKILL)


@pytest.mark.parametrize(
    ("fault", "process", "words"),
    [
        (send_garbage, "web", "no request from"),
        (kill_a_web, "gunicorn", " ended with status -9: started again"),
        (kill_a_worker, "supervisor", "ended with status -9: started again"),
    ],
)
def test_all_processes_log_in_one_format(
    logged: Soldout, fault: Callable[[Soldout], None], process: str, words: str
) -> None:
    fault(logged)

    def said() -> list[dict[str, Any]]:
        return [
            line
            for line in lines(logged)
            if words in line["message"] and line["process"].startswith(process)
        ]

    wait_until(said, 10, logged.log)
    for line in said():
        assert list(line)[:5] == ["at", "level", "process", "pid", "message"]
        assert MOMENT.fullmatch(line["at"])
        assert line["level"] in {"warning", "error"}
    wait_until(logged.ready, 10, logged.log)
    assert "Worker (pid" not in logged.log()  # gunicorn's word for a web process


def test_people_may_have_text(tmp_path: Path) -> None:
    with serving(tmp_path / "data", log="text", access_log=1) as service:
        service.put_event("gala", capacity=3)
        service.buy("gala", buyer="ann")
        wait_until(lambda: "outcome" in service.log(), 5, service.log)
        text = service.log()
    moment = MOMENT.pattern
    assert re.search(rf"^{moment} \[info     \] selling at {service.url}", text, re.MULTILINE)
    assert re.search(rf'^{moment} \[info     \] request .*outcome="sold"', text, re.MULTILINE)


def test_a_name_that_is_no_utf8_does_not_cost_its_line() -> None:
    """As a data directory may have, of which the log says why nothing starts from it."""
    text = "import logging, workers.logs; workers.logs.start_logging('json')"
    said = subprocess.run(
        [sys.executable, "-c", f"{text}; logging.error('no ledger in %s', 'data-\\udcff')"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert json.loads(said)["message"] == "no ledger in data-?"
