"""What is kept of a load test, and its last words: the judgement, the counts, where the page is.

In: the runs. Out: one file of numbers and the page drawn from it; lines for a terminal.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from loadtest.figures import Run
from loadtest.findings import Verdict, report
from loadtest.gauges import file_system, processor
from loadtest.judgement import HINTS, heard_in_words
from loadtest.page import Show, count, name, render

WITHOUT_A_LOCK = "no_lock"  # the peer that must oversell
MORE = "give it more --users"
SOLDOUT = "soldout"
SERVED = {  # what a run that starts its own servers starts
    WITHOUT_A_LOCK: "loadtest/peers/no_lock.py: a count in a file, several processes, no lock",
    SOLDOUT: "soldout serve as it comes: one ledger file, each sale synced before its answer",
}
COUNTS = {
    "tickets on sale": "capacity",
    "told to buyers": "tickets_told",
    "sold beyond the stock": "oversold",
    "numbers sold more than once": "sold_twice",
    "confirmed, missing from the count": "uncounted",
}


def keep(runs: list[Run], path: Path, again: str) -> Path:
    """Write the numbers, and from them the page; return the page's path."""
    show = Show(
        made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        command=again,
        commit=commit(),
        machine=machine(),
        servers={name(run.server): SERVED.get(run.server, "as it was found") for run in runs},
        runs=runs,
    )
    numbers = msgspec.json.format(msgspec.json.encode(show))
    path.with_suffix(".json").write_bytes(numbers + b"\n")
    page = path.with_suffix(".html")
    page.write_text(render(msgspec.json.decode(numbers, type=Show)), encoding="utf-8")
    return page


def ending(runs: Sequence[Run], page: Path, log: Path) -> str:
    """Return the judgement on each run, the counts beside each other, and where the page is."""
    lines = [line for run in runs for line in ("", *judgement(run))]
    width = max(map(len, COUNTS))
    lines += ["", f"{'':<{width}}" + "".join(f"{name(run.server):>16}" for run in runs)]
    for words, field in COUNTS.items():
        lines.append(
            f"{words:<{width}}" + "".join(f"{count(getattr(run, field)):>16}" for run in runs)
        )
    outcomes = ("RIGHT" if run.passed else "WRONG" for run in runs)
    lines.append(f"{'':<{width}}" + "".join(f"{outcome:>16}" for outcome in outcomes))
    lines += [f"note: {note}" for note in dict.fromkeys(note for run in runs for note in run.notes)]
    if any(run.server == WITHOUT_A_LOCK and run.passed for run in runs):
        lines += ["", f"{name(WITHOUT_A_LOCK)} nothing was oversold, which shows nothing: {MORE}"]
    lines += ["", f"its numbers: {page.with_suffix('.json')}, locust's log: {log}"]
    lines += [page.resolve().as_uri()]  # which a terminal opens at a click
    return "\n".join(lines)


def as_expected(runs: Sequence[Run]) -> bool:
    """Say whether each did what it must: oversell without a lock, else do nothing wrong."""
    return all(run.passed == (run.server != WITHOUT_A_LOCK) for run in runs)


def judgement(run: Run) -> list[str]:
    """Return a run's headline and its invariants."""
    verdicts = [
        Verdict(p.name, p.state, p.checked, [*p.breaches, *[""] * (p.broken - len(p.breaches))])
        for p in run.promises
    ]
    asked = f"{run.purchases} purchases, {run.looks} looks"
    return [
        f"{name(run.server)}: {run.event}, {run.capacity} tickets, {asked}",
        f"  heard: {heard_in_words(run.heard)}",
        report(verdicts, HINTS),
    ]


def commit() -> str:
    """Return the commit that ran, and whether files differ from it; nothing where git is not."""
    here = Path(__file__).parent
    try:
        said = [
            subprocess.run(
                ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{said[0]}, with changes" if said[1] else said[0]


def machine() -> dict[str, str]:
    """Describe what it was measured on, servers and clients together."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "data directory": file_system(Path(tempfile.gettempdir())),
        "python": platform.python_version(),
        "locust": importlib.metadata.version("locust"),
    }
