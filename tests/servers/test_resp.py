"""Frames are found in a stream of bytes, however it comes in pieces."""

from __future__ import annotations

import pytest

from tests.servers.resp import Frames, is_push, words_of

REPLIES = [
    b"+OK\r\n",
    b"-ERR no such thing\r\n",
    b":-12\r\n",
    b"$5\r\na\r\nbc\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*2\r\n*2\r\n$1\r\na\r\n:1\r\n$-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",3.25\r\n",
    b"(3492890328409238509324850943850943825024385\r\n",
    b"!5\r\nERR x\r\n",
    b"=7\r\ntxt:a\r\n\r\n",
    b"%2\r\n+a\r\n*1\r\n:1\r\n$1\r\nb\r\n%0\r\n",
    b"~2\r\n+a\r\n+b\r\n",
    b"|1\r\n+ttl\r\n:9\r\n*1\r\n+a\r\n",
    b">2\r\n+invalidate\r\n*1\r\n+key\r\n",
    b"PING\r\n",
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_each_frame_is_found_however_the_bytes_come(size: int) -> None:
    stream, frames = b"".join(REPLIES), Frames()
    found: list[bytes] = []
    for start in range(0, len(stream), size):
        found += frames.feed(stream[start : start + size])
    assert found == REPLIES


@pytest.mark.parametrize("reply", REPLIES)
def test_a_frame_is_not_found_before_its_last_byte(reply: bytes) -> None:
    frames = Frames()
    assert frames.feed(reply[:-1]) == []
    assert frames.feed(reply[-1:]) == [reply]


def test_what_the_server_says_unasked_is_told_from_replies() -> None:
    assert [reply for reply in REPLIES if is_push(reply)] == [
        b">2\r\n+invalidate\r\n*1\r\n+key\r\n"
    ]


def test_a_request_is_read_word_by_word() -> None:
    assert words_of(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n") == [
        b"SET",
        b"a",
        b"\r\n\r\n",
    ]
    assert words_of(b"PING  x\r\n") == [b"PING", b"x"]
