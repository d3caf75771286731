"""A line tells apart what was read and not answered, and what nobody has ever read."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.faults.line import Fate, Line

ANSWER = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}"


def hangs_up_before(end: socket.socket, send: Callable[[], None]) -> None:
    end.close()
    send()


def reads_it_and_hangs_up(end: socket.socket, send: Callable[[], None]) -> None:
    send()
    assert end.recv(100)
    end.close()


def hangs_up_without_reading_it(end: socket.socket, send: Callable[[], None]) -> None:
    send()
    end.close()


def begins_an_answer(end: socket.socket, send: Callable[[], None]) -> None:
    send()
    assert end.recv(100)
    end.sendall(ANSWER[:20])
    end.close()


@pytest.mark.parametrize(
    ("serve", "fate"),
    [
        (hangs_up_before, Fate.LATE),
        (reads_it_and_hangs_up, Fate.CUT),
        (hangs_up_without_reading_it, Fate.CUT),
        (begins_an_answer, Fate.TORN),
    ],
)
def test_a_line_tells_what_became_of_a_request(
    serve: Callable[[socket.socket, Callable[[], None]], None],
    fate: Fate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Line(server.getsockname()[1]) as line:
        first = line.send(b"GET / HTTP/1.1\r\n\r\n")
        end, _ = server.accept()
        assert end.recv(100)
        end.sendall(ANSWER)
        assert line.read(first).status == 201
        monkeypatch.setattr(
            "tests.faults.line._is_readable", lambda _line: False
        )  # a moment before
        sent = []
        serve(end, lambda: sent.append(line.send(b"GET / HTTP/1.1\r\n\r\n")))
        assert line.read(sent[0]).fate is fate
