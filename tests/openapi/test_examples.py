"""The examples are true: the sale they tell of is played, and each answer compared.

Whatever is answered on the way must be what the document says of it, headers included.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from service import problems
from service.openapi import examples
from service.openapi.faults import problem_name
from service.problems import KINDS
from service.views import to_rfc3339
from tests.harness import Soldout, serving, wait_until
from tests.openapi.documented import Documented

JSON = {"Content-Type": "application/json"}
VARIES = {  # from sale to sale, or from host to host
    *("id", "code", "sold_at", "expires_at", "as_of", "host", "pid", "since", "last_heartbeat"),
    *("phase", "batches", "purchases", "at", "clock_ms", "this_host"),
}


class Sale:
    """Everything that was asked and answered, by operation and status, and by kind of problem."""

    def __init__(self, soldout: Soldout, documented: Documented) -> None:
        self.soldout = soldout
        self.documented = documented
        self.answers: dict[tuple[str, int, str], requests.Response] = {}
        self.problems: dict[str, requests.Response] = {}

    def ask(
        self, method: str, path: str, body: object = None, admin: str = "", **headers: str
    ) -> requests.Response:
        """Ask, check the answer by the document, and keep it."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if admin:
            sent["Authorization"] = f"Bearer {admin}"
        answer = requests.request(
            method,
            self.soldout.url + path,
            data=body if body is None or isinstance(body, bytes) else json.dumps(body),
            headers=({} if body is None else JSON) | sent,
            timeout=30,
            stream=True,
        )
        operation = self.documented.named(method, path)
        self.documented.check(operation, answer)
        media_type = answer.headers["Content-Type"]
        if media_type == problems.MEDIA_TYPE:
            self.problems.setdefault(answer.json()["type"].rpartition("/")[2], answer)
        else:
            self.answers.setdefault((operation, answer.status_code, media_type), answer)
        return answer


@pytest.fixture(scope="module")
def sale(soldout: Soldout, documented: Documented) -> Sale:
    """Play what the examples tell, in their order."""
    sale, key = Sale(soldout, documented), soldout.admin_key
    buy = {"event": "gala", "ticket_type": "vip", "quantity": 3, "buyer": "bob@example.com"}

    sale.ask("PUT", "/events/gala", examples.PUT_GALA, key)
    sale.ask("PUT", "/events/recital", examples.PUT_RECITAL, key)
    sale.ask("PUT", "/events/gala", examples.PUT_GALA, key)
    order = sale.ask("POST", "/buy", examples.BUY_SEVERAL, Idempotency_Key=examples.KEY).json()
    assert sale.ask("POST", "/buy", examples.BUY_SEVERAL, Idempotency_Key=examples.KEY).headers[
        "Idempotent-Replayed"
    ]
    for path in (f"/orders/{order['id']}", "/remaining/gala", "/events/gala", "/problems/rain"):
        sale.ask("GET", path)
    sale.ask("GET", "/problems/sold-out")
    for operation in documented.operations.values():
        needs = [p for p in operation.get("parameters", []) if p["required"]]
        if operation["method"] == "get" and not needs:
            sale.ask("GET", operation["path"], admin=key)
    for path in (
        f"/orders?key={examples.KEY}",
        "/events/gala/orders",
        "/events/gala/audit",
        "/events/gala/curve",
    ):
        sale.ask("GET", path, admin=key)
    sale.ask("GET", "/events/gala/orders", admin=key, Accept="text/csv")

    premiere = {"capacity": 10, "opens_at": to_rfc3339(examples.PREMIERE_MS)}
    sale.ask("PUT", "/events/premiere", premiere, key)
    sale.ask("POST", "/buy", b'{"event": "gala",')
    sale.ask("POST", "/buy", {"event": "gala", "quantity": 0})
    sale.ask("POST", "/buy", {"event": "ball", "quantity": 1})
    sale.ask("POST", "/buy", {"event": "premiere", "quantity": 1})
    sale.ask("POST", "/buy", buy)  # of which 2 remain
    sale.ask("POST", "/buy", buy | {"ticket_type": "box"})
    sale.ask("POST", "/buy", buy | {"quantity": 2, "buyer": examples.BUYER})
    sale.ask("POST", "/buy", buy, Idempotency_Key=examples.KEY)
    sale.ask("POST", "/buy", b"{}", Content_Type="text/plain")
    sale.ask("POST", "/buy", b" " * 65_537)
    sale.ask("GET", f"/orders/{examples.ORDER_ID}")
    sale.ask("GET", "/workers")
    sale.ask("GET", "/workers", admin="a key of another service")
    sale.ask("GET", "/events?" + "x" * 5_000)  # with GET and HTTP/1.1, 5021
    sale.ask("GET", "/events", X_Long="x" * 9_000)
    sale.ask("POST", "/buy", {"event": "recital", "quantity": 7})
    sale.ask("PUT", "/events/recital", {"capacity": 2}, key)

    for verb in ("pause", "resume", "close"):
        sale.ask("POST", f"/events/gala/{verb}", admin=key)
    sale.ask("POST", f"/orders/{order['id']}/cancel", admin=key)
    sale.ask("POST", "/buy", {"event": "recital", "quantity": 1}, Prefer="respond-async")
    return sale


def same(value: Any) -> Any:
    """What does not vary of an answer."""
    match value:
        case dict():
            return {name: name in VARIES or same(member) for name, member in value.items()}
        case list():
            return [same(member) for member in value]
        case _:
            return value


def test_every_answer_that_has_an_example_is_that_example(
    sale: Sale, documented: Documented
) -> None:
    compared = 0
    for name, operation in documented.operations.items():
        for status, told in operation["responses"].items():
            for media_type, content in documented.resolve(told)["content"].items():
                if media_type == problems.MEDIA_TYPE:
                    continue
                answer = sale.answers[name, int(status), media_type]
                for example in content.get("examples", {}).values():
                    compared += 1
                    if media_type == "application/json":
                        assert same(answer.json()) == same(example["value"]), name
                    else:
                        assert columns(answer.text) == columns(example["value"])
    assert compared >= 20


def columns(csv: str) -> list[list[str]]:
    """A CSV's lines without id, time and code."""
    return [line.split(",")[1:2] + line.split(",")[3:6] for line in csv.split("\r\n")]


ELSEWHERE = {"method-not-allowed", "request-timeout", "internal-error", "overloaded", "unavailable"}


@pytest.mark.parametrize("slug", sorted(KINDS.keys() - ELSEWHERE))
def test_a_problem_is_told_as_its_example_tells_it(
    sale: Sale, documented: Documented, slug: str
) -> None:
    check_problem(documented, slug, sale.problems[slug].json())


def check_problem(documented: Documented, slug: str, said: dict[str, Any]) -> None:
    example = documented.document["components"]["examples"][slug]["value"]
    schema = {"$ref": f"#/components/schemas/{problem_name(slug)}"}
    documented.check_value(schema, said, slug)
    assert same(said) == same(example)


def test_a_wrong_method_is_told_as_its_example_tells_it(
    soldout: Soldout, documented: Documented
) -> None:
    answer = requests.delete(f"{soldout.url}/buy", timeout=10)
    assert answer.headers["Allow"] == "OPTIONS, POST"
    check_problem(documented, "method-not-allowed", answer.json())


def test_a_body_that_never_comes_is_told_as_its_example_tells_it(
    soldout: Soldout, documented: Documented
) -> None:
    head = "POST /buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with closing(socket.create_connection(("127.0.0.1", soldout.port), 20)) as line:
        line.sendall(f"{head}Content-Length: 9\r\n\r\n{{".encode())
        answer = HTTPResponse(line)
        answer.begin()
        said = json.loads(answer.read())
    assert answer.status == 408
    check_problem(documented, "request-timeout", said)


def test_a_fault_of_the_service_is_told_as_its_example_tells_it(documented: Documented) -> None:
    app = Flask("faulty")
    problems.install(app)

    @app.get("/events")
    def break_down() -> str:
        raise ZeroDivisionError

    answer = app.test_client().get("/events")
    assert answer.status_code == 500
    check_problem(documented, "internal-error", answer.get_json(force=True))


def test_faults_of_the_workers_are_told_as_the_document_says(
    tmp_path: Path, documented: Documented
) -> None:
    """A hung pool: the queue is full at one purchase, and nobody is ready."""
    with serving(tmp_path / "data", workers=1, web_processes=1, max_in_flight=1) as hung:
        hung.put_event("recital", capacity=100)
        [supervisor, worker] = [hung.pid, *hung.family()["worker"]]
        os.kill(supervisor, signal.SIGSTOP)  # it would end the worker that does not move
        os.kill(worker, signal.SIGSTOP)
        try:
            sale = Sale(hung, documented)
            wish = {"event": "recital", "quantity": 1}
            pending = sale.ask("POST", "/buy", wish, Prefer="respond-async")
            assert pending.status_code == 202
            overloaded = sale.ask("POST", "/buy", wish)
        finally:
            os.kill(worker, signal.SIGCONT)
            os.kill(supervisor, signal.SIGCONT)
        assert overloaded.status_code == 503
        said = overloaded.json()
        assert re.fullmatch(r"\d+ (.*)", said["detail"])
        said["detail"] = said["detail"].replace("1", "2000", 1)
        check_problem(documented, "overloaded", said)


def test_a_service_without_workers_says_why_it_is_not_ready(
    tmp_path: Path, documented: Documented
) -> None:
    with serving(tmp_path / "data", workers=1, web_processes=1) as hung:
        [worker] = hung.family()["worker"]
        os.kill(hung.pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGSTOP)
        try:
            asking = Sale(hung, documented)  # what was found is told for a moment longer
            wait_until(lambda: asking.ask("GET", "/readyz").status_code == 503, 10, "not ready")
            answer = asking.problems["unavailable"]
        finally:
            os.kill(worker, signal.SIGCONT)
            os.kill(hung.pid, signal.SIGCONT)
        assert answer.json()["reasons"]
        assert answer.json()["type"] == "/problems/unavailable"
