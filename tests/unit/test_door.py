"""The door that is shut before a service leaves: who is in stays in, nobody else gets in."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from service.door import let_in_nobody_else
from tests.harness import lets_in


def test_who_was_let_in_is_served_and_nobody_else_gets_in() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 5) as early:
            let_in_nobody_else(listener)
            assert not lets_in(port)
            early.sendall(b"still here?")
            connection, _ = listener.accept()
            with closing(connection):
                assert connection.recv(64) == b"still here?"
                connection.sendall(b"yes")
                assert early.recv(64) == b"yes"
            with pytest.raises(BlockingIOError):
                listener.accept()
