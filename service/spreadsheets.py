"""What is written into a CSV, so that a spreadsheet takes it for what it is."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@")


def plain(text: str) -> str:
    """Keep a spreadsheet from taking what a buyer wrote for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(FORMULA) else text
