"""Closing time: nobody else comes in, and nobody who got in is thrown out.

The kernel takes connections in by itself, and when a listening socket is closed it resets all that
nobody has accepted. However late one accepts them all, another one may come in just before the
close. So the kernel is first told to let in nobody else.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress
from typing import Final

SO_ATTACH_FILTER: Final = 26  # socket(7)
FLAGS_AT, SYN, ACK = 13, 0x02, 0x10  # RFC 9293, section 3.1
# Classic BPF, filter.rst of the kernel's documentation: code, jump if true, if false, operand.
_DROP_WHO_KNOCKS: Final = b"".join(
    struct.pack("HBBI", *step)
    for step in (
        (0x30, 0, 0, FLAGS_AT),  # load the byte
        (0x54, 0, 0, SYN | ACK),  # of which these two bits matter
        (0x15, 0, 1, SYN),  # a SYN alone asks for a new connection
        (0x06, 0, 0, 0),  # drop it
        (0x06, 0, 0, 0xFFFF_FFFF),  # anything else is of somebody who was let in
    )
)


def let_in_nobody_else(listener: socket.socket) -> None:
    """Have the kernel drop what asks for a new connection, in all processes with this socket.

    Who asks hears nothing, and asks again after a second: then nobody listens, or a new service.
    """
    program = ctypes.create_string_buffer(_DROP_WHO_KNOCKS, len(_DROP_WHO_KNOCKS))
    steps = len(_DROP_WHO_KNOCKS) // struct.calcsize("HBBI")
    with suppress(OSError):  # where the kernel cannot, all is as it was
        listener.setsockopt(
            socket.SOL_SOCKET,
            SO_ATTACH_FILTER,
            struct.pack("HL", steps, ctypes.addressof(program)),
        )
