"""Idempotency keys: read from a request, written to an answer, turned into order ids."""

from __future__ import annotations

import re
from hashlib import blake2b

from service.problems import Problem

KEY_MIN_CHARACTERS = 16  # whoever guesses a key and its body reads the order
KEY_MAX_CHARACTERS = 255

_BARE = re.compile(r"[!-~]{16,255}")  # visible ASCII
_QUOTED = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])*)"')  # RFC 9651 string, without spaces
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def read_key(header: str) -> str:
    """Return the key that an Idempotency-Key header names. Raises Problem (400)."""
    quoted = _QUOTED.fullmatch(header)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header
    if not _BARE.fullmatch(key) or (header.startswith('"') and not quoted):
        raise Problem(
            "malformed-request",
            f"Idempotency-Key must be {KEY_MIN_CHARACTERS} to {KEY_MAX_CHARACTERS} visible ASCII"
            " characters, bare or as a quoted string",
        )
    return key


def quote_key(key: str) -> str:
    """Write a key as the structured-field string that `read_key` reads."""
    return '"' + re.sub(r'(["\\])', r"\\\1", key) + '"'


def is_order_id(text: str) -> bool:
    """Say whether a text has the form of an order's id."""
    return _UUID.fullmatch(text) is not None


def read_order_id(text: str) -> str | None:
    """Return an order's id as it was given out, in whatever case it comes, or None."""
    found = text.lower()
    return found if is_order_id(found) else None


def order_id(secret: bytes, key: str) -> str:
    """Return the id of the order that this key may become: the same on every host, at any time.

    It cannot be guessed without the ledger's secret, nor the key be found from it. The time in a
    key that is a UUIDv7 is kept: then new ids sort last, and the ledger's index grows at its end.
    """
    digest = blake2b(key.encode(), key=secret, digest_size=16, person=b"soldout order").hexdigest()
    timed = _UUID7.fullmatch(key)
    head, version = (timed[1] + timed[2], "7") if timed else (digest[:12], "8")
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{head[:8]}-{head[8:]}-{version}{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:]}"
