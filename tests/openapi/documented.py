"""An OpenAPI document as a judge: whether an answer is what the document says of its operation."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import requests
from openapi_schema_validator import OAS31Validator

Json = dict[str, Any]
ENDLESS = "text/event-stream"  # nobody waits for the end of such an answer


class Documented:
    """A document, and what can be looked up in it."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self.operations: dict[str, Json] = {
            operation["operationId"]: {"method": method, "path": path, **operation}
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }
        self._paths = {
            name: re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(operation["path"])))
            for name, operation in self.operations.items()
        }

    def named(self, method: str, url: str) -> str:
        """Return the operationId of a request; of several that match, the most literal."""
        path = urlsplit(url).path
        found = [
            name
            for name, operation in self.operations.items()
            if operation["method"] == method.lower() and self._paths[name].fullmatch(path)
        ]
        assert found, f"{method} {path} is not documented"
        return min(found, key=lambda name: self.operations[name]["path"].count("{"))

    def resolve(self, told: Json) -> Json:
        """Follow a reference, if it is one."""
        if "$ref" not in told:
            return told
        found: Any = self.document
        for part in told["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict)
        return found

    def response(self, operation: str, status: int) -> Json:
        """Return what is said of an operation's answers with a status."""
        responses = self.operations[operation]["responses"]
        assert str(status) in responses, f"{operation}: {status} is not documented"
        return self.resolve(responses[str(status)])

    def check_value(self, schema: Json, value: object, where: str) -> None:
        """Check that a value is what a schema says, formats included."""
        whole = {**schema, "components": self.document["components"]}
        judge = OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER)
        errors = [error.message for error in judge.iter_errors(value)]
        assert not errors, f"{where}: {errors}"

    def check(self, operation: str, answer: requests.Response) -> None:
        """Check status, media type, headers and body of an answer."""
        where = f"{operation} {answer.status_code}"
        told = self.response(operation, answer.status_code)
        for name, header in told.get("headers", {}).items():
            if name in answer.headers:
                text = answer.headers[name]
                number = header["schema"].get("type") == "integer"
                self.check_value(header["schema"], int(text) if number else text, f"{where} {name}")
            else:
                assert not header.get("required"), f"{where}: no {name}"
        if told.get("content"):
            media_type = answer.headers["Content-Type"]
            assert media_type in told["content"], f"{where}: {media_type}"
            if media_type.startswith(ENDLESS):
                answer.close()
                return
            body = answer.json() if media_type.endswith("json") else answer.text
            self.check_value(told["content"][media_type]["schema"], body, where)
