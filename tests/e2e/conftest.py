"""One running service for all of these tests, and who asks it: visitors and the administration."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from tests.harness import Soldout, serving

STANDING = {"id": "standing", "capacity": 10, "price": {"amount": 2500, "currency": "EUR"}}
VIP = {"id": "vip", "capacity": 3, "price": {"amount": 9900, "currency": "EUR"}}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Visitor:
    """Sends requests on a connection that is kept open."""

    def __init__(self, url: str, admin_key: str | None = None) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        if admin_key is not None:
            self.session.headers["Authorization"] = f"Bearer {admin_key}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str | bytes | None] | None = None,
    ) -> requests.Response:
        """Send a request, its body as JSON unless it is bytes already; a header of None is none."""
        data = body if isinstance(body, bytes) else json.dumps(body)
        content: dict[str, str | bytes | None] = {}
        if body is not None:
            content["Content-Type"] = "application/json"
        return self.session.request(
            method,
            self.url + path,
            data=None if body is None else data,
            headers={**content, **(headers or {})},
            timeout=30,
            allow_redirects=False,
        )

    def get(self, path: str, **headers: str) -> requests.Response:
        """Look at something."""
        return self.ask("GET", path, headers=_named(headers))

    def post(self, path: str, body: object = None, **headers: str) -> requests.Response:
        """Ask for something."""
        return self.ask("POST", path, body, _named(headers))

    def put(self, path: str, body: object, **headers: str) -> requests.Response:
        """Say what something is."""
        return self.ask("PUT", path, body, _named(headers))

    def buy(self, event: str, quantity: int = 1, key: str | None = None, **body: Any) -> Any:
        """Buy, and return the order; it must be sold."""
        headers = {} if key is None else {"Idempotency_Key": key}
        answer = self.post("/buy", {"event": event, "quantity": quantity, **body}, **headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def stock(self, event: str) -> Any:
        """Return what `/remaining/{event}` says."""
        answer = self.get(f"/remaining/{event}")
        assert answer.status_code == 200, answer.text
        return answer.json()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def check_problem(answer: requests.Response, status: int, slug: str, /, **members: Any) -> Any:
    """Check that an answer is this problem, whole, with these members; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{slug}"
    assert problem["instance"] == answer.request.path_url.partition("?")[0]
    assert isinstance(problem["title"], str)
    assert isinstance(problem["detail"], str)
    assert "\n" not in problem["detail"]
    expected = {"status": status, **members}
    known = {"type", "title", "detail", "instance"}
    assert {name: problem[name] for name in problem.keys() - known} == expected
    assert ("Retry-After" in answer.headers) == (status == 503 or slug == "not-settled")
    return problem


@pytest.fixture(scope="package")
def soldout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    with serving(tmp_path_factory.mktemp("e2e") / "data") as service:
        yield service


@pytest.fixture
def visitor(soldout: Soldout) -> Iterator[Visitor]:
    visitor = Visitor(soldout.url)
    yield visitor
    visitor.session.close()


@pytest.fixture
def admin(soldout: Soldout) -> Iterator[Visitor]:
    admin = Visitor(soldout.url, soldout.admin_key)
    yield admin
    admin.session.close()


@pytest.fixture
def event(soldout: Soldout) -> str:
    """An event of the test's own: 10 standing at 25 euros, 3 vip at 99."""
    name = f"gala-{secrets.token_hex(6)}"
    soldout.put_event(name, name="The gala", ticket_types=[STANDING, VIP])
    return name


@pytest.fixture
def small(soldout: Soldout) -> str:
    """An event of the test's own with 3 tickets of one type."""
    name = f"small-{secrets.token_hex(6)}"
    soldout.put_event(name, capacity=3)
    return name
