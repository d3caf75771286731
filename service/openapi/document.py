"""OpenAPI 3.1, composed of `operations.py` and of the structs that read requests and write answers.

Schemas come from msgspec: what validates is what is documented.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from service.openapi.faults import HEADERS, problem_example, problem_name, problem_type
from service.openapi.operations import OPERATIONS, TAGS
from service.openapi.words import Body, Content, Header, Operation, Parameter, Success
from service.problems import KINDS, MEDIA_TYPE

SCHEMAS: Final = "#/components/schemas/"
DESCRIPTION: Final = """\
Sells scarce tickets under a flash crowd: never oversells, never loses a confirmed sale, never sells
twice for one purchase.

All bodies are JSON in UTF-8. Times are RFC 3339 in UTC with milliseconds, money is an integer
amount in minor units (cents) and an ISO 4217 code. An integer has no fraction and no exponent:
`2.0` is refused. `capacity = sold + held + remaining`, for every ticket type, at every moment.

Every error is a problem document (RFC 9457); its `type` is the address of a page that explains it.
A lost connection, a 202 and a 503 mean *unknown*, never *no*: the same request under the same
`Idempotency-Key` tells, and never sells twice. A wrong method is answered 405 with `Allow`; every
GET answers HEAD, too. Clients ignore members that they do not know.
"""

Json = dict[str, Any]


def build_document() -> Json:
    """Return the whole document."""
    schemas = _Schemas(OPERATIONS)
    paths: dict[str, Json] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "soldout",
            "version": version("soldout"),
            "summary": "Sells scarce tickets under a flash crowd.",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in TAGS.items()],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.named,
            "examples": {slug: {"value": problem_example(slug)} for slug in KINDS},
            "responses": {
                problem_name(slug): _problems((slug,), (), (), schemas) for slug in KINDS
            },
            "securitySchemes": {
                "adminKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the administration; the service's start prints where "
                    "it is kept.",
                }
            },
        },
    }


class _Schemas:
    """The schema of every type that is named: some by reference, `named` holds those."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.problems = {slug: problem_type(slug) for slug in KINDS}
        types = [*_types(operations), *self.problems.values()]
        found, components = msgspec.json.schema_components(types, ref_template=SCHEMAS + "{name}")
        self._of: dict[int, Json] = {
            id(kind): _tidy(schema) for kind, schema in zip(types, found, strict=True)
        }
        self._kept = types  # so that no id is given twice
        self.named = {_name(name): _tidy(schema) for name, schema in components.items()}
        for operation in operations:
            if operation.body:
                self._part(operation.body)

    def of(self, kind: Any) -> Json:
        """Return the schema of a type, or a reference to it."""
        return self._of[id(kind)]

    def any_of(self, slugs: Iterable[str]) -> Json:
        """Return the schema of a problem of one of these kinds, which their `type` tells apart."""
        references = {f"/problems/{slug}": SCHEMAS + problem_name(slug) for slug in slugs}
        if len(references) == 1:
            return {"$ref": next(iter(references.values()))}
        return {
            "oneOf": [{"$ref": reference} for reference in references.values()],
            "discriminator": {"propertyName": "type", "mapping": references},
        }

    def _part(self, body: Body) -> None:
        """Write each shape of a body as a schema of its own, in place of the struct's."""
        whole = self.named.pop(_name(body.type.__name__))
        for shape in body.shapes:
            members = {n: s for n, s in whole["properties"].items() if n not in shape.without}
            self.named[shape.name] = whole | {
                "title": shape.name,
                "description": shape.description,
                "properties": members,
                "required": list(shape.required),
            }


def _types(operations: Iterable[Operation]) -> list[Any]:
    found: list[Any] = [header.type for header in HEADERS.values()]
    for operation in operations:
        found += [parameter.type for parameter in operation.parameters]
        found += [operation.body.type] if operation.body else []
        for success in operation.answers.values():
            found += [content.type for content in success.content]
            found += [header.type for header in (*success.headers, *success.sometimes)]
        for headers in (*operation.headers.values(), *operation.sometimes.values()):
            found += [header.type for header in headers]
    return found


def _tidy(schema: Any) -> Any:
    """Write a schema as JSON Schema reads it, with names as clients use them."""
    if isinstance(schema, list | tuple):
        return [_tidy(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {member: _tidy(value) for member, value in schema.items()}
    if isinstance(tidy.get("pattern"), str):
        tidy["pattern"] = tidy["pattern"].replace(r"\A", "^").replace(r"\Z", "$")  # ECMA-262
    for member in ("$ref", "title"):
        if isinstance(tidy.get(member), str):
            tidy[member] = _name(tidy[member])
    return tidy


def _name(name: str) -> str:
    """Return what a struct is called outside: an `OrderView` is an Order there."""
    return name.removesuffix("View")


def _operation(operation: Operation, schemas: _Schemas) -> Json:
    by_status: dict[int, list[str]] = defaultdict(list)
    for slug in operation.problems:
        by_status[KINDS[slug].status].append(slug)
    answers = {
        **{code: _success(success, schemas) for code, success in operation.answers.items()},
        **{code: _problem(operation, code, by_status[code], schemas) for code in by_status},
    }
    told: Json = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [_parameter(parameter, schemas) for parameter in operation.parameters],
        "requestBody": operation.body and _body(operation.body),
        "responses": {str(code): answers[code] for code in sorted(answers)},
        "security": [{"adminKey": []}] if operation.admin else None,
    }
    return {name: value for name, value in told.items() if value}


def _parameter(parameter: Parameter, schemas: _Schemas) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "description": parameter.description,
        "schema": schemas.of(parameter.type),
        "example": parameter.example,
    }


def _body(body: Body) -> Json:
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [{"$ref": SCHEMAS + shape.name} for shape in body.shapes]},
                "examples": {name: {"value": value} for name, value in body.examples.items()},
            }
        },
    }


def _success(success: Success, schemas: _Schemas) -> Json:
    told: Json = {
        "description": success.description,
        "headers": _headers(success.headers, success.sometimes, schemas),
        "content": {c.media_type: _content(c, schemas) for c in success.content},
        "links": success.links,
    }
    return {name: value for name, value in told.items() if value}


def _content(content: Content, schemas: _Schemas) -> Json:
    told: Json = {"schema": schemas.of(content.type)}
    if content.examples:
        told["examples"] = {
            name: {"value": msgspec.to_builtins(value)} for name, value in content.examples.items()
        }
    return told


def _problem(operation: Operation, code: int, slugs: list[str], schemas: _Schemas) -> Json:
    always, sometimes = operation.headers.get(code, ()), operation.sometimes.get(code, ())
    if len(slugs) == 1 and not always and not sometimes:
        return {"$ref": "#/components/responses/" + problem_name(slugs[0])}
    return _problems(slugs, always, sometimes, schemas)


def _problems(
    slugs: Sequence[str],
    always: Sequence[Header],
    sometimes: Sequence[Header],
    schemas: _Schemas,
) -> Json:
    own = [HEADERS.get(slug) for slug in slugs]
    shared = own[0] if own.count(own[0]) == len(own) else None
    told: Json = {
        "description": "; ".join(KINDS[slug].title for slug in slugs),
        "headers": _headers(
            [header for header in (shared, *always) if header],
            [header for header in (*own, *sometimes) if header and header != shared],
            schemas,
        ),
        "content": {
            MEDIA_TYPE: {
                "schema": schemas.any_of(slugs),
                "examples": {slug: {"$ref": f"#/components/examples/{slug}"} for slug in slugs},
            }
        },
    }
    return {name: value for name, value in told.items() if value}


def _headers(always: Iterable[Header], sometimes: Iterable[Header], schemas: _Schemas) -> Json:
    return {
        **{header.name: _header(header, schemas) | {"required": True} for header in always},
        **{header.name: _header(header, schemas) for header in sometimes},
    }


def _header(header: Header, schemas: _Schemas) -> Json:
    return {
        "description": header.description,
        "schema": schemas.of(header.type),
        "example": int(header.example) if header.example.isdigit() else header.example,
    }
