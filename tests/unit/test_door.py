"""The door that is shut before a service leaves: who is in stays in, nobody else gets in."""

from __future__ import annotations

import select
import socket
from contextlib import closing, suppress

import pytest

from service.door import let_in_nobody_else


def knock(port: int) -> socket.socket:
    """Ask for a connection, and do not wait for it."""
    visitor = socket.socket()
    visitor.setblocking(False)
    with suppress(BlockingIOError):
        visitor.connect(("127.0.0.1", port))
    return visitor


def is_in(visitor: socket.socket, seconds: float) -> bool:
    return bool(select.select([], [visitor], [], seconds)[1])


def test_who_was_let_in_is_served_and_nobody_else_gets_in() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        with closing(knock(port)) as early:
            assert is_in(early, 5)
            let_in_nobody_else(listener)
            with closing(knock(port)) as late:
                assert not is_in(late, 0.2)
                early.sendall(b"still here?")
                connection, _ = listener.accept()
                with closing(connection):
                    assert connection.recv(64) == b"still here?"
                    connection.sendall(b"yes")
                    assert select.select([early], [], [], 5)[0]
                    assert early.recv(64) == b"yes"
                with pytest.raises(BlockingIOError):
                    listener.accept()
