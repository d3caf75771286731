"""Who takes more than his share of a web process gets no more of it than others, and is let go."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from service.inbound import REST_MAX_BYTES
from service.reply import TAKE_SECONDS
from tests.faults.crowd import Wish
from tests.faults.line import Fate, Line
from tests.harness import STOP_SECONDS, lets_in, serving

KERNEL_BYTES = 32 << 20  # more than it keeps of what is sent and not read
CONNECTIONS_MAX = 1_002  # with one purchase at a time


@pytest.mark.parametrize("head", [b"GET /healthz", b"POST /buy"])
def test_a_body_without_end_is_not_read_without_end(tmp_path: Path, head: bytes) -> None:
    with serving(tmp_path / "data", web_processes=1) as service:
        with socket.create_connection(("127.0.0.1", service.port), STOP_SECONDS) as line:
            line.sendall(head + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                line.sendall(bytes(REST_MAX_BYTES + KERNEL_BYTES))
        assert requests.get(f"{service.url}/healthz", timeout=5).status_code == 200


@pytest.mark.long
def test_who_never_reads_his_answers_is_let_go(tmp_path: Path) -> None:
    """Else every one of them would keep a place for as long as he likes."""
    with serving(tmp_path / "data") as service, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.connect(("127.0.0.1", service.port))
        line.setblocking(False)
        asking = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000
        line.send(asking)
        cut = select.poll()
        cut.register(line, 0)  # for the end alone
        assert cut.poll(3 * TAKE_SECONDS * 1_000)
        assert "failed" not in service.log()  # it is nobody's fault


def test_who_waits_for_a_place_while_it_leaves_gets_one(tmp_path: Path) -> None:
    """All places are taken by who asks for nothing, and one more has been let in by the kernel."""
    many, limit = CONNECTIONS_MAX + 1_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limit >= many, "too few descriptors are allowed"
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with (
        serving(tmp_path / "data", web_processes=1, max_in_flight=1) as service,
        ExitStack() as stack,
    ):
        service.put_event("gala", capacity=5)
        for _ in range(CONNECTIONS_MAX + 5):  # what put the event keeps no connection open
            address = ("127.0.0.1", service.port)
            stack.enter_context(socket.create_connection(address, STOP_SECONDS))
        buyer = stack.enter_context(Line(service.port))
        sent = buyer.send(Wish(uuid.uuid4().hex, "gala", 1).request())
        os.kill(service.pid, signal.SIGTERM)
        answer = buyer.read(sent)
        assert (answer.fate, answer.status) == (Fate.ANSWERED, 201)
        assert service.process is not None
        assert service.process.wait(STOP_SECONDS) == 0
        assert not lets_in(service.port)
        assert "requests and purchases open" not in service.log()
