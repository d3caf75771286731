"""How an answer goes out: what a client's socket is given, write by write."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import gevent
import pytest
from gevent import socket as gevent_socket
from gunicorn.config import Config

from service.reply import Reply

LENGTH = ("Content-Length", "2")
LARGE = b"0123456789" * 1_000_000


class Wire:
    """Both ends of a connection that keeps each write apart, and a request that came over it."""

    def __init__(self, method: str = "GET", version: tuple[int, int] = (1, 1)) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.request = SimpleNamespace(method=method, version=version, should_close=lambda: False)

    def reply(self, status: str, *headers: tuple[str, str]) -> Reply:
        reply = Reply(self.request, self.ours, Config())
        reply.start_response(status, list(headers))
        return reply

    def heard(self) -> list[bytes]:
        """Return what was written so far, write by write."""
        writes = []
        self.theirs.setblocking(False)
        while True:
            try:
                writes.append(self.theirs.recv(65_536))
            except BlockingIOError:
                return writes

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def test_a_small_answer_is_one_write(wire: Wire) -> None:
    reply = wire.reply("201 Created", LENGTH)
    reply.write(b"{}")
    reply.close()
    [written] = wire.heard()
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    assert body == b"{}"


def test_an_answer_larger_than_what_the_socket_takes_leaves_whole() -> None:
    ours, theirs = gevent_socket.socketpair()
    request = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: False)
    reply = Reply(request, ours, Config())
    reply.start_response("200 OK", [("Content-Length", str(len(LARGE)))])
    reading = gevent.spawn(lambda: theirs.makefile("rb").read())
    reply.write(LARGE)
    reply.close()
    ours.close()
    assert reading.get(timeout=10).partition(b"\r\n\r\n")[2] == LARGE
    theirs.close()


def test_an_answer_without_a_body_is_its_head(wire: Wire) -> None:
    reply = wire.reply("204 No Content")
    reply.close()
    [written] = wire.heard()
    assert written.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert written.endswith(b"\r\n\r\n")


def test_the_body_of_a_head_request_is_kept_back() -> None:
    wire = Wire(method="HEAD")
    reply = wire.reply("200 OK", LENGTH)
    reply.write(b"{}")
    reply.close()
    [written] = wire.heard()
    assert b"Content-Length: 2\r\n" in written
    assert written.endswith(b"\r\n\r\n")
    wire.close()


def test_a_stream_leaves_part_by_part_each_as_soon_as_it_is_there(wire: Wire) -> None:
    reply = wire.reply("200 OK")
    reply.write(b"one")
    assert b"".join(wire.heard()).endswith(b"\r\n\r\n3\r\none\r\n")
    reply.write(b"two")
    assert b"".join(wire.heard()) == b"3\r\ntwo\r\n"
    reply.close()
    assert b"".join(wire.heard()) == b"0\r\n\r\n"


def test_no_header_can_break_out_of_its_line(wire: Wire) -> None:
    with pytest.raises(Exception, match="X-Mine"):
        wire.reply("200 OK", ("X-Mine", "1\r\nSet-Cookie: a=b"))
    assert wire.heard() == []
