"""The page of a load test: one run, or two side by side, as HTML that needs nothing else.

In: a `Show`, which `reports/show.json` or `loadtest.json` holds. Out: the page, light and dark, for
any width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from loadtest import charts
from loadtest.figures import Promise, Run
from loadtest.findings import State
from loadtest.judgement import HINTS, UNITS, with_meaning

TEMPLATES: Final = Path(__file__).with_name("templates")
NAMES: Final = {"no_lock": "without a lock"}  # servers as people call them


class Show(Struct, frozen=True):
    """What was played on which machine; `runs` in the order in which they are shown."""

    made_at: str
    command: str  # that plays it again
    commit: str  # empty where it is not known
    machine: dict[str, str]
    servers: dict[str, str]  # what they were, by the names that people read
    runs: list[Run]
    format: int = 1


def render(show: Show) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "ms": milliseconds,
        "name": name,
        "with_meaning": with_meaning,
    }
    scale = charts.scale_of(show.runs)
    pictures = {
        kind: [Markup(draw(run, scale)) for run in show.runs]  # noqa: S704 - our own SVG, its words escaped
        for kind, draw in (
            ("stock", charts.stock),
            ("rush", charts.rush),
            ("distribution", charts.distribution),
            ("waits", charts.waits),
        )
    }
    template = environment.get_template("loadtest.html")
    return template.render(
        show=show, pictures=pictures, promises=promises(show.runs), hints=HINTS, State=State
    )


def promises(runs: Sequence[Run]) -> list[tuple[str, list[tuple[Promise, str]]]]:
    """Return each invariant with what came of it in every run, and what was checked in words."""
    rows = zip(*(run.promises for run in runs), strict=True)
    return [(row[0].name, [(promise, checked(promise)) for promise in row]) for row in rows]


def checked(promise: Promise) -> str:
    """Say what was looked at, as `2,360 answers`."""
    one, many = UNITS[promise.name]
    return f"{count(promise.checked)} {one if promise.checked == 1 else many}"


def name(server: str) -> str:
    """Return a server's name for a heading."""
    return NAMES.get(server, server)


def count(number: float) -> str:
    """Return a number with commas between its thousands."""
    return f"{number:,.0f}"


def milliseconds(number: float) -> str:
    """Return a time as it is shown: to a tenth below ten."""
    return f"{number:,.1f} ms" if number < 10 else f"{number:,.0f} ms"
