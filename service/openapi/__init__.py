"""OpenAPI 3.1 of this service: `GET /openapi.json` for programs, `GET /docs` for people.

`operations.py` and `administration.py` list the routes, `faults.py` the problems; they point to the
structs that read requests and write answers. `document.py` composes them, `docs_page.py` shows the
result.
"""

from __future__ import annotations

import functools

import msgspec
from flask import Blueprint

from service.answers import Answer, answer, moved
from service.openapi.docs_page import write_page
from service.openapi.document import build_document
from service.plain_page import plain_page


def blueprint() -> Blueprint:
    """Return the routes of whoever wants to know how to talk with this service."""
    routes = Blueprint("openapi", __name__)

    built = functools.cache(build_document)  # none of it changes while this process lives

    @functools.cache
    def encoded() -> bytes:
        return msgspec.json.encode(built())

    @functools.cache
    def written() -> str:
        return write_page(built())

    @routes.get("/openapi.json")
    def document() -> Answer:
        return answer(encoded())

    @routes.get("/docs")
    def docs() -> Answer:
        return plain_page(written())

    @routes.get("/docs/")
    def docs_too() -> Answer:
        return moved("/docs")

    return routes
