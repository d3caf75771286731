"""The few words an operation is described with: `operations.py` says them, `document.py` reads."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
CSV: Final = "text/csv; charset=utf-8"

Method = Literal["get", "put", "post", "delete"]


class Parameter(Struct, frozen=True):
    """What a path, a query or a header may carry. Those of a path are required."""

    name: str
    where: Literal["path", "query", "header"]
    type: Any
    description: str
    example: Any
    required: bool = False


class Header(Struct, frozen=True):
    """A header of an answer."""

    name: str
    type: Any
    description: str
    example: str


class Body(Struct, frozen=True):
    """What a request carries: one of some shapes of a struct, with examples by name."""

    type: Any
    examples: dict[str, Any]
    shapes: tuple[Shape, ...]


class Shape(Struct, frozen=True):
    """One way to write a body, where a struct alone cannot say what goes with what."""

    name: str
    description: str
    required: tuple[str, ...]
    without: tuple[str, ...]


class Content(Struct, frozen=True):
    """What an answer says: a struct as JSON, or text of some other media type."""

    type: Any
    examples: dict[str, Any]
    media_type: str = JSON


class Success(Struct, frozen=True):
    """An answer that is no problem. Headers in `sometimes` are not on each of them."""

    description: str
    content: tuple[Content, ...]
    headers: tuple[Header, ...] = ()
    sometimes: tuple[Header, ...] = ()
    links: dict[str, dict[str, Any]] = {}


class Operation(Struct, frozen=True, kw_only=True):
    """One route and method: all that it takes and answers."""

    method: Method
    path: str
    id: str
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: dict[int, Success]
    problems: tuple[str, ...] = ()
    headers: dict[int, tuple[Header, ...]] = {}  # of problems with this status
    sometimes: dict[int, tuple[Header, ...]] = {}
    admin: bool = False
