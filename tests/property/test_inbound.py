"""Whatever comes over a connection is read as gunicorn alone would read it, plain or not."""

from __future__ import annotations

import random
import runpy
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create
from hypothesis import given, settings
from hypothesis import strategies as st

import service
from service.inbound import BODY, Inbound
from service.reply import Reply
from tests.fuzz.garbage import spoil

OF_ONE_SIDE: Final = {*("wsgi.input", "wsgi.errors", "wsgi.early_hints", "gunicorn.socket", BODY)}
HERE: Final = ("127.0.0.1", 8_000)
PIECE_MAX: Final = 8_192  # what a reader takes at once
LIMITS: Final = ("limit_request_line", "limit_request_fields", "limit_request_field_size")


class GunicornAlone:
    """gunicorn's own reading of a connection, but for the one request that we alone refuse."""

    def __init__(self, cfg: Any, client: Any, address: Any, listens_at: Any) -> None:
        self._parser = RequestParser(cfg, client, address)
        self._make: Callable[[Any], tuple[Reply, dict[str, Any]]] = lambda request: create(
            request, client, address, listens_at, cfg, Reply
        )
        self.request: Any = None

    def next(self) -> tuple[Reply, dict[str, Any]]:
        self.request = next(self._parser)
        names = [name for name, _ in self.request.headers]
        if names.count("IDEMPOTENCY-KEY") > 1:
            raise InvalidHeader("IDEMPOTENCY-KEY")
        reply, environ = self._make(self.request)
        environ["wsgi.multithread"] = True
        return reply, environ


def of_the_service(**otherwise: object) -> Config:
    """Return gunicorn's settings as the service has them, as far as reading depends on them."""
    ours = runpy.run_path(str(Path(service.__file__).with_name("gunicorn_conf.py")))
    cfg = Config()
    for name in (*LIMITS, "forwarded_allow_ips"):
        cfg.set(name, otherwise.get(name, ours[name]))
    return cfg


CFG: Final = of_the_service()


@contextmanager
def connection(sent: list[bytes]) -> Iterator[socket.socket]:
    """Return our end of a connection over which these pieces were sent, and no more will be."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with closing(ours), closing(theirs):
        for piece in sent:
            for start in range(0, len(piece), PIECE_MAX):
                theirs.send(piece[start : start + PIECE_MAX])
        theirs.shutdown(socket.SHUT_WR)
        yield ours


def read_by(
    kind: type[Inbound | GunicornAlone], sent: list[bytes], address: str, body_bytes: int | None
) -> list[Any]:
    """Return all that a reader makes of what was sent: each request, and how it ended.

    The application reads so much of each body; all of it if that is None.
    """
    seen: list[Any] = []
    with connection(sent) as client:
        reader = kind(CFG, client, (address, 5_555), HERE)
        while True:
            try:
                _, environ = reader.next()
                body = environ["wsgi.input"].read(body_bytes)
            except StopIteration:
                return seen
            except (ParseException, NoMoreData) as error:
                return [*seen, type(error).__name__]
            known = {name: value for name, value in environ.items() if name not in OF_ONE_SIDE}
            seen.append((known, body, reader.request.should_close()))


def check_is_read_the_same(
    *sent: bytes, address: str = "127.0.0.1", body_bytes: int | None = None
) -> list[Any]:
    pieces = [piece for piece in sent if piece]
    read = read_by(Inbound, pieces, address, body_bytes)
    assert read == read_by(GunicornAlone, pieces, address, body_bytes), sent
    return read


def is_plain(sent: bytes, cfg: Config = CFG) -> bool:
    """Say whether the first request that was sent is read without gunicorn."""
    with connection([sent]) as client:
        try:
            _, environ = Inbound(cfg, client, ("127.0.0.1", 5_555), HERE).next()
        except (ParseException, NoMoreData):
            return False
        return BODY in environ


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
    assert is_plain(PLAIN[client])
    for address in ("127.0.0.1", "192.0.2.1"):
        [[_, body, closes]] = check_is_read_the_same(PLAIN[client], address=address)
        assert body == (b"" if client == "a reader" else ORDER)
        assert closes == (client == "a proxy")


@pytest.mark.parametrize(
    "fields",
    [
        ["Expect: 100-continue"],
        ["Transfer-Encoding: chunked"],
        ["Idempotency_Key: " + "k" * 16],
        [KEY, KEY],
        [LENGTH, LENGTH],
        ["Content-Length: 9"],  # which are not there yet
        ["Content-Length: +1"],
        ["Content-Length: 1 1"],
        ["Host: elsewhere"],
        ["Connection: upgrade"],
        ["X-Forwarded-Ssl: on"],
        ["X-Forwarded-Protocol: ssl"],
        ["Name : value"],
        ["NoColon"],
        [": no name"],
        [" folded: yes"],
        ["Tab: a\tb"],
        ["Bell: a\x07b"],
        ["Bare: a\rb"],
        ["Bare: a\nb"],
        ["Umlaut: \xfc"],
        [f"F{number}: x" for number in range(65)],
        ["Long: " + "x" * 4_094],
    ],
    ids=str,
)
def test_what_asks_for_a_decision_is_gunicorns(fields: list[str]) -> None:
    sent = request(JSON, *fields)
    assert not is_plain(sent)
    check_is_read_the_same(sent)


@pytest.mark.parametrize("limit", LIMITS)
def test_the_limits_are_gunicorns(limit: str) -> None:
    sent = request(JSON, LENGTH, body=ORDER)
    assert is_plain(sent)
    assert not is_plain(sent, of_the_service(**{limit: 2}))


NAMES = st.sampled_from(
    [
        *("Host", "host", "Content-Length", "content-length", "Content-Type", "Connection"),
        *(
            "Transfer-Encoding",
            "Expect",
            "X-Forwarded-Proto",
            "X-Forwarded-SSL",
            "X-Forwarded-Protocol",
            "Upgrade",
        ),
        *("Idempotency-Key", "Idempotency_Key", "Prefer", "Script_Name", "TE", "X", "Accept "),
    ]
)
VALUES = st.sampled_from(
    [
        *("", "0", "3", "03", "-3", "3, 3", "99999", "1000000", "application/json", "localhost"),
        *(
            "keep-alive",
            "close",
            "Close",
            "keep-alive, close",
            "chunked",
            "identity",
            "https",
            "ssl",
        ),
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


BODY_BYTES = st.sampled_from([None, 0, 1, 5])


@st.composite
def in_pieces(draw: Any) -> list[bytes]:
    """A few requests, spoiled a little or not, in as many pieces as the network makes of them."""
    sent = b"".join(draw(CONNECTIONS))
    if seed := draw(st.integers(0, 2**32)):
        sent = spoil(random.Random(seed), sent, list(PLAIN.values())) if seed % 2 else sent
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=3)))
    return [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


@settings(max_examples=800)
@given(in_pieces(), BODY_BYTES, st.sampled_from(["127.0.0.1", "192.0.2.1", "::ffff:127.0.0.1"]))
def test_whatever_comes_is_read_the_same(
    sent: list[bytes], body_bytes: int | None, address: str
) -> None:
    check_is_read_the_same(*sent, body_bytes=body_bytes, address=address)
