"""What is no HTTP is answered with a problem document, too, and its type has a page."""

from __future__ import annotations

import json
import socket
from http.client import HTTPResponse

import pytest

from tests.e2e.conftest import Visitor
from tests.harness import Soldout

LINE = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "slug"),
    [
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", 400, "malformed-request", id="version"),
        pytest.param(b"hello\r\n\r\n", 400, "malformed-request", id="no request line"),
        pytest.param(LINE + b"Bad Name: 1\r\n\r\n", 400, "malformed-request", id="header name"),
        pytest.param(LINE + b"no colon\r\n\r\n", 400, "malformed-request", id="no colon"),
        pytest.param(
            LINE + b"X: " + 9_000 * b"x" + b"\r\n\r\n", 431, "headers-too-large", id="long header"
        ),
        pytest.param(LINE + 65 * b"X: 1\r\n" + b"\r\n", 431, "headers-too-large", id="65 headers"),
        pytest.param(
            b"GET /" + 5_000 * b"x" + b" HTTP/1.1\r\n\r\n", 414, "address-too-long", id="long line"
        ),
    ],
)
def test_what_is_no_http_is_told_so_in_a_problem_that_has_a_page(
    soldout: Soldout, visitor: Visitor, sent: bytes, status: int, slug: str
) -> None:
    with socket.create_connection(("127.0.0.1", soldout.port), 10) as connection:
        connection.sendall(sent)
        answer = HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Connection"] == "close"
    problem = json.loads(body)
    assert (problem["type"], problem["status"]) == (f"/problems/{slug}", status)
    assert "\n" not in problem["detail"]
    page = visitor.get(problem["type"], Accept="text/html")
    assert page.status_code == 200
    assert problem["title"] in page.text
