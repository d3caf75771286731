"""The `traceparent` header of W3C's Trace Context: by it a line of the log finds its trace.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import re
from typing import Final

_PARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def read_trace_id(header: str | None) -> str | None:
    """Return the id of the trace that a request belongs to; None if it says none, or nonsense.

    A later version of the header may say more behind what we know; version 00 may not.
    """
    found = _PARENT.fullmatch(header or "")
    if found is None or (found[1] == "00" and found[4]):
        return None
    if not found[2].strip("0") or not found[3].strip("0"):
        return None
    return found[2]
