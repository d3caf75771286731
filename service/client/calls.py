"""What is asked: wishes come in, requests as data go out; nothing is sent here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict
from urllib.parse import quote

import msgspec
from msgspec import Struct

from service.client.results import Item, TicketType

STREAM_SILENCE_SECONDS = 20  # beyond the usual; a stream's heart beats every 15 s at least


class Call(Struct, frozen=True):
    """One request, ready to be sent as often as it takes."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = {}
    params: dict[str, str] = {}
    admin: bool = False
    stream: bool = False
    wait_seconds: int = 0  # the service may take so long to answer by our own wish


class EventMembers(TypedDict, total=False):
    """What `put_event` may say. Either `capacity`, for one ticket type, or `ticket_types`."""

    name: str
    capacity: int
    ticket_types: Sequence[TicketType]
    opens_at: datetime | None
    closes_at: datetime | None
    max_per_order: int | None
    max_per_buyer: int | None


def checked_key(key: str) -> str:
    """Return `key`, or raise ValueError if no header can hold it."""
    if not (16 <= len(key) <= 255 and all("!" <= c <= "~" for c in key)):
        raise ValueError("a key is 16 to 255 visible ASCII characters")
    return key


def purchase_body(
    event: str,
    quantity: int,
    ticket_type: str | None,
    items: Sequence[Item] | None,
    buyer: str | None,
) -> bytes:
    """Write a purchase: of `items`, or else of `quantity` tickets."""
    wish: dict[str, Any] = {"event": event}
    if items is None:
        wish |= {"quantity": quantity, "ticket_type": ticket_type}
    else:
        wish["items"] = items
    wish["buyer"] = buyer
    return msgspec.json.encode({name: told for name, told in wish.items() if told is not None})


def purchase_call(body: bytes, key: str, wait_seconds: int | None) -> Call:
    """Ask for a purchase, and for an answer within `wait_seconds` if the service can give one."""
    headers = {"Idempotency-Key": quoted(key)}
    if wait_seconds is not None:
        headers["Prefer"] = f"wait={wait_seconds}" if wait_seconds else "respond-async"  # RFC 7240
    return Call("POST", "/buy", body, headers, wait_seconds=wait_seconds or 0)


def stream_call(event: str | None, last_id: str) -> Call:
    """Ask to be told every change of the stock, from what was seen last."""
    return Call(
        "GET",
        "/remaining/stream",
        headers={
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            **({"Last-Event-ID": last_id} if last_id else {}),
        },
        params={} if event is None else {"event": event},
        stream=True,
        wait_seconds=STREAM_SILENCE_SECONDS,
    )


def event_body(members: EventMembers) -> bytes:
    """Write an event's members. Raises ValueError for a time without a zone."""
    return msgspec.json.encode(
        {
            name: _rfc3339(value) if isinstance(value, datetime) else value
            for name, value in members.items()
        }
    )


def quoted(key: str) -> str:
    """Return a key as a structured-field string (RFC 9651), so that it may hold quotes itself."""
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def segment(name: str) -> str:
    """Return a name as one segment of a path, which it cannot leave."""
    return quote(name, safe="")


def _rfc3339(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"a time needs a zone: {moment}")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
