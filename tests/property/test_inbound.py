"""Whatever comes over a connection is read as gunicorn alone would read it, plain or not."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from hypothesis import given, settings
from hypothesis import strategies as st

from service.inbound import BODY, FIELDS_MAX, HEAD_MAX_BYTES, Inbound
from tests.fuzz.garbage import spoil

OF_ONE_SIDE: Final = {
    *("wsgi.input", "wsgi.errors", "wsgi.early_hints", "gunicorn.socket", "REMOTE_PORT", BODY)
}


class GunicornAlone(Inbound):
    """A reader for which nothing is plain."""

    def _read_plain(self, data: bytes) -> None:  # noqa: ARG002 - the other one's signature
        return None


@contextmanager
def inbound(
    kind: type[Inbound], sent: bytes, address: str = "127.0.0.1", **set_: Any
) -> Iterator[Inbound]:
    """Return a reader of a connection over which this was sent, and nothing more will be."""
    cfg = Config()
    chosen = {
        "limit_request_line": 4_094,
        "limit_request_fields": 64,
        "forwarded_allow_ips": "127.0.0.1,::1",
        **set_,
    }
    for name, value in chosen.items():
        cfg.set(name, value)
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        yield kind(cfg, ours, (address, 5_555), ("127.0.0.1", 8_000))


def read_by(kind: type[Inbound], sent: bytes, address: str = "127.0.0.1") -> list[Any]:
    """Return all that a reader makes of what was sent: each request, and how it ended."""
    seen: list[Any] = []
    with inbound(kind, sent, address) as reader:
        while True:
            try:
                _, environ = reader.next()
                body = environ["wsgi.input"].read()
            except StopIteration:
                return seen
            except (ParseException, NoMoreData) as error:
                return [*seen, type(error).__name__]
            known = {name: value for name, value in environ.items() if name not in OF_ONE_SIDE}
            seen.append((known, body, reader.request.should_close()))


def check_is_read_the_same(sent: bytes, address: str = "127.0.0.1") -> list[Any]:
    read = read_by(Inbound, sent, address)
    assert read == read_by(GunicornAlone, sent, address), sent
    return read


def request(
    *fields: str, line: str = "POST /buy HTTP/1.1", host: str = "Host: localhost", body: bytes = b""
) -> bytes:
    """Return the bytes of a request."""
    return "\r\n".join([line, host, *fields, "", ""]).encode("latin-1") + body


ORDER = b'{"event": "gala", "quantity": 1}'
JSON = "Content-Type: application/json"
KEY = "Idempotency-Key: 0b7e4e0a-8a3c-4b0e-8a3c-0b7e4e0a8a3c"
LENGTH = f"Content-Length: {len(ORDER)}"
PLAIN = {
    "curl": request("User-Agent: curl/7.88.1", "Accept: */*", JSON, KEY, LENGTH, body=ORDER),
    "wrk": request(JSON, LENGTH, body=ORDER),
    "requests": request(
        *("User-Agent: python-requests/2.32.5", "Accept-Encoding: gzip, deflate", "Accept: */*"),
        *("Connection: keep-alive", KEY, JSON, LENGTH),
        body=ORDER,
    ),
    "a browser": request(
        *("Connection: keep-alive", LENGTH, 'sec-ch-ua-platform: "Linux"', JSON, KEY),
        *("User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: */*", "Origin: http://localhost"),
        *("Sec-Fetch-Site: same-origin", "Accept-Language: en-GB,en;q=0.9"),
        body=ORDER,
    ),
    "a proxy": request(
        *("X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Real-IP: 192.0.2.7"),
        *(JSON, LENGTH, "Connection: close"),
        body=ORDER,
    ),
    "a reader": request(line="GET /remaining?event=gala HTTP/1.1"),
}


@pytest.mark.parametrize("client", PLAIN)
def test_what_clients_send_is_plain_and_read_the_same(client: str) -> None:
    with inbound(Inbound, PLAIN[client]) as reader:
        _, environ = reader.next()
        assert BODY in environ
    for address in ("127.0.0.1", "192.0.2.1"):
        [[_, body, closes]] = check_is_read_the_same(PLAIN[client], address)
        assert body == (b"" if client == "a reader" else ORDER)
        assert closes == (client == "a proxy")


@pytest.mark.parametrize(
    "fields",
    [
        ["Expect: 100-continue"],
        ["Transfer-Encoding: chunked"],
        ["Upgrade: h2c"],
        ["Idempotency_Key: " + "k" * 16],
        [KEY, KEY],
        [LENGTH, LENGTH],
        ["Content-Length: 9"],  # which are not there yet
        ["Content-Length: +1"],
        ["Content-Length: 1 1"],
        ["Host: elsewhere"],
        ["Connection: upgrade"],
        ["X-Forwarded-Ssl: on"],
        ["Name : value"],
        ["NoColon"],
        [": no name"],
        [" folded: yes"],
        ["Tab: a\tb"],
        ["Bell: a\x07b"],
        ["Bare: a\rb"],
        ["Bare: a\nb"],
        ["Umlaut: \xfc"],
        [f"F{number}: x" for number in range(FIELDS_MAX + 1)],
        ["Long: " + "x" * HEAD_MAX_BYTES],
    ],
    ids=str,
)
def test_what_asks_for_a_decision_is_gunicorns(fields: list[str]) -> None:
    sent = request(JSON, *fields)
    with inbound(Inbound, sent) as reader:
        try:
            _, environ = reader.next()
        except (ParseException, NoMoreData):
            pass
        else:
            assert BODY not in environ
    check_is_read_the_same(sent)


NAMES = st.sampled_from(
    [
        *("Host", "host", "Content-Length", "content-length", "Content-Type", "Connection"),
        *("Transfer-Encoding", "Expect", "X-Forwarded-Proto", "X-Forwarded-SSL", "Upgrade"),
        *("Idempotency-Key", "Idempotency_Key", "Prefer", "Script_Name", "TE", "X", "Accept "),
    ]
)
VALUES = st.sampled_from(
    [
        *("", "0", "3", "03", "-3", "3, 3", "99999", "1000000", "application/json", "localhost"),
        *("keep-alive", "close", "Close", "keep-alive, close", "chunked", "identity", "https"),
        *("http", "on", "100-continue", "a  b", "  padded  ", "tab\tbed", "\xe9", "x" * 300),
    ]
)
TARGETS = [
    *("/", "/buy", "//buy", "/buy?", "/buy?a=b", "/buy?a=b?c", "/a%20b", "/a#b", "/a;b=c", "*"),
    *("http://localhost/buy", "buy", "/a:b//c", "/[x]", "/a?x=%7e#y", "/" + "x" * 4_100, ""),
]
LINES = st.builds(
    "{} {} {}".format,
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE", "get", "CONNECT", "BREW", "G", ""]),
    st.sampled_from(TARGETS),
    st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "HTTP/1.1 "]),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:20] or "none")
def test_every_form_of_address_is_read_the_same(target: str) -> None:
    check_is_read_the_same(request(line=f"GET {target} HTTP/1.1"))


REQUESTS = st.builds(
    lambda line, fields, body: request(*fields, line=line, host="Host: a", body=body),
    st.one_of(st.just("POST /buy HTTP/1.1"), LINES),
    st.lists(st.builds("{}: {}".format, NAMES, VALUES), max_size=4),
    st.sampled_from([b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]),
)
CONNECTIONS = st.lists(st.one_of(st.sampled_from(list(PLAIN.values())), REQUESTS), max_size=3)


@settings(max_examples=400)
@given(CONNECTIONS.map(b"".join))
def test_requests_of_all_kinds_are_read_the_same(sent: bytes) -> None:
    check_is_read_the_same(sent)


@settings(max_examples=400)
@given(CONNECTIONS.map(b"".join), st.integers(0, 2**32))
def test_requests_that_chance_has_spoiled_are_read_the_same(sent: bytes, seed: int) -> None:
    check_is_read_the_same(spoil(random.Random(seed), sent, list(PLAIN.values())))
