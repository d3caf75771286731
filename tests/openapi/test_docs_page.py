"""`/docs`: one page that needs no other file, runs no script, and whose commands work."""

from __future__ import annotations

import html
import os
import re
import shlex
import subprocess
from base64 import b64encode
from hashlib import sha256

import pytest
import requests

from service.openapi.docs_page import prose, words
from service.openapi.examples import ORDER_ID
from service.problems import KINDS
from tests.harness import Soldout
from tests.openapi.documented import Documented

SIZE_MAX_BYTES = 100_000
TOLD_FOR_LONG_ENOUGH = 28  # curl's exit status when --max-time is over


@pytest.fixture(scope="module")
def answer(soldout: Soldout) -> requests.Response:
    return requests.get(f"{soldout.url}/docs", timeout=10)


def test_it_needs_nothing_but_itself_and_may_do_nothing_else(answer: requests.Response) -> None:
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(answer.content) < SIZE_MAX_BYTES
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(|style=| on[a-z]+=", answer.text)
    [style] = re.findall("<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_its_links_lead_somewhere(soldout: Soldout, answer: requests.Response) -> None:
    ids = re.findall(r' id="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids))
    links = set(re.findall(r'href="([^"]+)"', answer.text))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    elsewhere = {link for link in links if not link.startswith("#")}
    assert len(elsewhere) == 1 + len(KINDS)
    for link in elsewhere:
        assert requests.get(f"{soldout.url}/{link}", timeout=10).status_code == 200


def test_it_tells_of_every_operation_problem_and_schema(
    answer: requests.Response, documented: Documented
) -> None:
    schemas = {
        name
        for name in documented.document["components"]["schemas"]
        if not name.endswith("Problem")
    }
    for name in {*documented.operations, *KINDS, *schemas}:
        assert f' id="{name}"' in answer.text


def test_its_commands_do_what_they_say(soldout: Soldout, answer: requests.Response) -> None:
    """In an order in which there is something to look at; with the id of an order that is there."""
    commands = [
        html.unescape(told)
        for told in re.findall('<pre class="curl".*?>(.*?)</pre>', answer.text, re.DOTALL)
    ]
    assert len(commands) == len(set(commands)) >= 20
    soldout.put_event("recital", capacity=10)
    first = ("PUT", "resume", "buy", "")
    commands.sort(key=lambda told: next(n for n, word in enumerate(first) if word in told))
    order = soldout.buy("recital", key="a-key-that-is-known").json()
    for command in commands:
        told = command.replace(ORDER_ID, order["id"])
        done = subprocess.run(
            ["bash", "-c", f"{told} --silent --show-error --fail-with-body --max-time 9"],
            env=os.environ | {"SOLDOUT_URL": soldout.url, "SOLDOUT_ADMIN_KEY": soldout.admin_key},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        endless = "/stream" in told and done.returncode == TOLD_FOR_LONG_ENOUGH
        assert endless or done.returncode == 0, f"{told}: {done.stdout} {done.stderr}"
        assert shlex.split(told)[0] == "curl"


def test_what_is_written_in_a_document_cannot_become_html() -> None:
    assert prose("<b> `<i>` *no*\n\nx") == ("&lt;b&gt; <code>&lt;i&gt;</code> <em>no</em></p><p>x")
    assert "<u>" not in words({"type": "string", "pattern": "<u>"})
    assert "<u>" not in words({"enum": ["<u>"]})
    assert "<u>" not in words({"$ref": "#/components/schemas/<u>"})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "integer, 1 to 1,000"),
        ({"type": "integer", "minimum": 0}, "integer, at least 0"),
        ({"type": "integer", "maximum": 9}, "integer, at most 9"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "string, 1 to 9 characters"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"const": 409}, "always <code>409</code>"),
        ({"enum": ["a", "b"]}, "one of <code>a</code>, <code>b</code>"),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "list of string, at least 1",
        ),
        ({"type": "string", "format": "uuid"}, "uuid"),
        ({}, "anything"),
    ],
)
def test_schemas_are_said_in_words(schema: dict[str, object], said: str) -> None:
    assert words(schema) == said
