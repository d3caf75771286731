"""The document is valid, complete, and of one piece with the service's routes and problems."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from werkzeug.routing import Rule
from werkzeug.routing.converters import AnyConverter

from service.openapi.faults import problem_name
from service.problems import KINDS
from tests.harness import Soldout
from tests.in_process import application
from tests.openapi.documented import Documented

IMPLICIT = {"HEAD", "OPTIONS"}  # Flask answers them for every route
FILES = {"GET /favicon.ico", "GET /static/{}/{}"}  # a browser finds them in a page
OTHERWISE = {"GET /docs/", "GET /admin/"}  # they lead to what is documented


@pytest.fixture(scope="module")
def routes(soldout: Soldout) -> set[str]:
    """All that Flask routes, as `GET /events/{}`."""
    found = set()
    with application(soldout) as app:
        rules = list(app.url_map.iter_rules())
    for rule in rules:
        for path in written(rule):
            found |= {f"{method} {path}" for method in (rule.methods or set()) - IMPLICIT}
    return found


def written(rule: Rule) -> list[str]:
    """A rule's paths with `{}` for what varies; a choice of words is a path for each."""
    paths = [rule.rule]
    for name, converter in rule._converters.items():
        words = sorted(converter.items) if isinstance(converter, AnyConverter) else ["{}"]
        placeholder = re.compile(rf"<(?:[^<>]*:)?{name}>")
        paths = [placeholder.sub(word, path) for path in paths for word in words]
    return paths


def test_every_route_is_documented_and_nothing_else(
    routes: set[str], documented: Documented
) -> None:
    """Whoever adds a route adds an `Operation` to service/openapi, whoever removes one, too."""
    told = {
        f"{operation['method'].upper()} {re.sub('{.*?}', '{}', operation['path'])}"
        for operation in documented.operations.values()
    }
    assert len(routes) > 15
    assert told == routes - FILES - OTHERWISE


def test_the_document_is_valid(documented: Documented) -> None:
    validate(documented.document, cls=OpenAPIV31SpecValidator)


def test_it_is_served_as_json_for_every_address_it_is_reached_by(soldout: Soldout) -> None:
    answer = requests.get(f"{soldout.url}/openapi.json", timeout=10)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1")
    assert answer.json()["servers"] == [{"url": "/"}]


def test_each_kind_of_problem_is_documented_with_its_members_and_met_somewhere(
    documented: Documented,
) -> None:
    components = documented.document["components"]
    met = {
        slug
        for operation in documented.operations.values()
        for response in operation["responses"].values()
        for slug in documented.resolve(response)
        .get("content", {})
        .get("application/problem+json", {})
        .get("examples", {})
    }
    assert met == KINDS.keys() - {"method-not-allowed"}  # of a method that is not documented
    for slug, kind in KINDS.items():
        schema = components["schemas"][problem_name(slug)]
        assert schema["properties"]["type"]["const"] == f"/problems/{slug}"
        assert {"type", "title", "status", "detail", "instance"} <= set(schema["required"])
        example = components["examples"][slug]["value"]
        assert (example["type"], example["title"]) == (f"/problems/{slug}", kind.title)


def test_every_example_is_what_its_schema_says(documented: Documented) -> None:
    examples = 0
    for name, operation in documented.operations.items():
        told = [*map(documented.resolve, operation["responses"].values())]
        told += [operation["requestBody"]] if "requestBody" in operation else []
        for content in [content for one in told for content in one["content"].values()]:
            for example in content.get("examples", {}).values():
                value = documented.resolve(example)["value"]
                documented.check_value(content["schema"], value, name)
                examples += 1
        headers = [header for one in told for header in one.get("headers", {}).values()]
        for valued in (*operation.get("parameters", []), *headers):
            documented.check_value(valued["schema"], valued["example"], name)
    assert examples > 100


def test_names_are_good_for_generators_of_clients(documented: Documented) -> None:
    ids = Counter(
        operation["operationId"]
        for item in documented.document["paths"].values()
        for operation in item.values()
    )
    assert max(ids.values()) == 1
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in ids)
    tags = {tag["name"] for tag in documented.document["tags"]}
    for operation in documented.operations.values():
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
    for name in documented.document["components"]["schemas"]:
        assert re.fullmatch("[A-Z][A-Za-z]+", name)


def test_patterns_are_those_of_json_schema(documented: Documented) -> None:
    def patterns(told: Any) -> list[str]:
        if isinstance(told, dict):
            own = [told["pattern"]] if isinstance(told.get("pattern"), str) else []
            return own + [p for value in told.values() for p in patterns(value)]
        return [p for value in told for p in patterns(value)] if isinstance(told, list) else []

    found = set(patterns(documented.document))
    assert len(found) >= 4
    for pattern in found:
        assert not re.search(r"\\[AZz]|\(\?[P<]", pattern), pattern
        assert pattern.startswith("^")
        assert pattern.endswith("$")


def test_a_process_id_is_one_that_can_be_signalled_or_none(documented: Documented) -> None:
    """A signal to 0 goes to a whole group of processes, the sender among them."""
    worker = documented.document["components"]["schemas"]["Worker"]["properties"]
    assert {"type": "integer", "minimum": 1} in worker["pid"]["anyOf"]
    assert {"type": "null"} in worker["pid"]["anyOf"]


def test_only_the_administration_is_asked_for_a_key(
    soldout: Soldout, documented: Documented
) -> None:
    asked = {name for name, told in documented.operations.items() if "security" in told}
    assert len(asked) == 11
    for name, operation in documented.operations.items():
        url = soldout.url + re.sub("{.*?}", "nothing", operation["path"])
        answer = requests.request(operation["method"], url, timeout=10, stream=True)
        assert (answer.status_code == 401) == (name in asked), name
        documented.check(name, answer)
