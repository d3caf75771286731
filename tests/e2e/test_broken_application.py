"""What a client is told when an answer fails outside the application's own care."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.fuzz.lines import PROBLEM, Reply, read_all, replies_in
from tests.harness import free_port, wait_until


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the broken application is served as the service would be."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn_conf"),
        *("--bind", f"127.0.0.1:{port}", "tests.e2e.broken_application:app"),
    ]
    with subprocess.Popen(command) as server:
        try:
            wait_until(lambda: answers(port), 20, "it serves")
            yield port
        finally:
            server.terminate()


def answers(port: int) -> bool:
    with suppress(OSError):
        return [reply.body for reply in ask(port, "/")] == [b"fine"]
    return False


def ask(port: int, *targets: str) -> list[Reply]:
    """Ask for some addresses on one connection; return the answers until it is closed."""
    with closing(socket.create_connection(("127.0.0.1", port), 10)) as line:
        for target in targets:
            line.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with suppress(OSError):  # it may have been closed by now
            line.shutdown(socket.SHUT_WR)
        return replies_in(read_all(line))


@pytest.mark.parametrize("target", ["/bug", "/bug%20here", "/timeout", "/bad-header"])
def test_a_fault_of_ours_is_told_as_such_and_ends_the_connection(port: int, target: str) -> None:
    fine, failed = ask(port, "/", target, "/")
    assert fine.body == b"fine"
    assert failed.status == 500
    assert failed.fields["content-type"] == PROBLEM
    assert failed.fields["connection"] == "close"
    assert failed.json["type"] == "/problems/internal-error"


def test_an_answer_that_breaks_off_is_followed_by_nothing(port: int) -> None:
    [broken] = ask(port, "/breaks-off", "/")
    assert (broken.status, broken.body, broken.whole) == (200, b"half", False)


def test_after_all_that_it_still_serves(port: int) -> None:
    assert answers(port)
