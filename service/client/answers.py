"""What came back, judged: a struct of `results.py`, or an error of `errors.py` to raise."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
import requests

from service.client.errors import (
    REFUSALS,
    ClientError,
    Refused,
    Unavailable,
    UnexpectedAnswer,
    detail,
)
from service.client.results import EventStock

_GATEWAY_STATUSES = {502, 503, 504}  # a proxy's words for "the service behind me does not answer"

T = TypeVar("T")


def read(answer: requests.Response, kind: type[T]) -> T:
    """Return what an answer of success says. Raises `UnexpectedAnswer`."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise unexpected(answer, f"is not what was asked for, {error}") from error


def read_stock(data: bytes) -> EventStock:
    """Return what a stream's message says. Raises `UnexpectedAnswer`."""
    try:
        return msgspec.json.decode(data, type=EventStock)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(
            f"the stream says something else than stock: {error}", 200
        ) from error


def failure(answer: requests.Response) -> ClientError:
    """Return the error that an answer other than success stands for."""
    problem = _problem(answer)
    pause_seconds = retry_after_seconds(answer)
    if problem is not None and answer.status_code >= 500:
        return Unavailable(detail(problem), pause_seconds)
    if answer.status_code in _GATEWAY_STATUSES:
        return Unavailable(f"{_status_line(answer)} from a proxy", pause_seconds)
    if problem is None:
        return unexpected(answer, "is not an answer of soldout's")
    slug = str(problem.get("type", "")).rpartition("/")[2]
    return REFUSALS.get(slug, Refused)(problem, answer.status_code, pause_seconds)


def unexpected(answer: requests.Response, why: str) -> UnexpectedAnswer:
    """Return the error that names an answer of another server by its status and first words."""
    start = " ".join(answer.content[:200].decode(errors="replace").split())[:80]
    return UnexpectedAnswer(
        f"{_status_line(answer)} from {answer.url} {why} (it begins {start!r});"
        " is the address right?",
        answer.status_code,
    )


def retry_after_seconds(answer: requests.Response) -> float | None:
    """Return what Retry-After says, as seconds or as a date (RFC 9110, section 10.2.3)."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # absent, or neither; TypeError for a date without a zone
        return None


def _problem(answer: requests.Response) -> dict[str, Any] | None:
    """Return the members of a problem (RFC 9457), or None if the answer is none."""
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return None
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _status_line(answer: requests.Response) -> str:
    kind = answer.headers.get("Content-Type", "no media type")
    return f"{answer.status_code} {answer.reason} ({kind})"
