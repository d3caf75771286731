"""Where one request or reply of Redis ends in a stream of bytes (RESP 2 and 3), and what it says.

Of RESP 3 the streamed types are missing: no server sends them.
"""

from __future__ import annotations

from typing import Final

_BLOBS: Final = (b"$", b"=", b"!")  # length, then so many bytes; -1 is none at all
_LISTS: Final = (b"*", b"~", b">")  # number of elements, then they
_ATTRIBUTE: Final = b"|"  # a map, and then what it is of
_MAPS: Final = (b"%", _ATTRIBUTE)
_COUNTED: Final = (*_BLOBS, *_LISTS, *_MAPS)
FRAME_MAX: Final = 256 * 2**20  # bytes; what is longer is no frame of a test's


class Frames:
    """Takes bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._seen = 0  # of what is held
        self._missing = 1  # elements, until the frame that has begun is whole

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that are whole now."""
        self._held += data
        frames: list[bytes] = []
        while self._step():
            if self._missing == 0:
                frames.append(bytes(self._held[: self._seen]))
                del self._held[: self._seen]
                self._seen, self._missing = 0, 1
        assert len(self._held) < FRAME_MAX, f"a frame of more than {FRAME_MAX} bytes"
        return frames

    def _step(self) -> bool:
        """Go over one element; say whether it was there."""
        end = self._held.find(b"\r\n", self._seen)
        if end < 0:
            return False
        line = bytes(self._held[self._seen : end])
        kind, rest = line[:1], line[1:]
        after, elements = end + 2, 0
        if kind in _COUNTED:
            count = max(0, int(rest))
            if kind in _BLOBS and rest != b"-1":
                after += count + 2
            elif kind in _LISTS:
                elements = count
            elif kind in _MAPS:
                elements = 2 * count + (kind == _ATTRIBUTE)
        if after > len(self._held):
            return False
        self._seen = after
        self._missing += elements - 1
        return True


def is_push(reply: bytes) -> bool:
    """Say whether the server sent this unasked."""
    return reply.startswith(b">")


def words_of(request: bytes) -> list[bytes]:
    """Return what a request's frame says, which may also be one plain line."""
    if not request.startswith(b"*"):
        return request.split()
    words: list[bytes] = []
    at = request.index(b"\r\n") + 2
    while at < len(request):
        end = request.index(b"\r\n", at)
        start, length = end + 2, int(request[at + 1 : end])
        words.append(request[start : start + length])
        at = start + length + 2
    return words
