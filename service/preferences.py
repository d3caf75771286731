"""The `Prefer` header of RFC 7240: whether, and how long, a client wants to wait."""

from __future__ import annotations

from typing import NamedTuple


class Preferences(NamedTuple):
    """How long to wait (None: the default), and what to echo in Preference-Applied."""

    wait_seconds: float | None = None
    applied: str = ""


NOTHING_PREFERRED = Preferences()


def read_preferences(header: str | None, wait_max_seconds: float) -> Preferences:
    """Read `respond-async` and `wait=N`; the first of each counts, anything else is not for us.

    Both together mean: wait so long, and answer 202 then (RFC 7240, section 4.3). Waiting longer
    than `wait_max_seconds` is cut to that, which the echo says.
    """
    if header is None:
        return NOTHING_PREFERRED
    wanted: dict[str, str] = {}
    for preference in header.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        wanted.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait_seconds = 0.0 if "respond-async" in wanted else None
    applied = ["respond-async"] if "respond-async" in wanted else []
    seconds = wanted.get("wait", "")
    if seconds.isascii() and seconds.isdigit() and len(seconds) <= 9:
        granted = min(int(seconds), int(wait_max_seconds))
        wait_seconds = float(granted)
        applied.append(f"wait={granted}")
    return Preferences(wait_seconds, ", ".join(applied))
