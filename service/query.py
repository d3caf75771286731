"""Whole numbers in the query of an address."""

from __future__ import annotations

from flask import request

from service import wire


def read_number(
    name: str, default: int, least: int = 0, wanted: str = "a whole number, not negative"
) -> int:
    """Return a number that the request's address gives. Raises Problem (422): what is `wanted`."""
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) >= least):
        raise wire.invalid(name, wanted)
    return int(text)
