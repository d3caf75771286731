"""What the tests of benchmark and growth share: a stand-in for wrk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Stands in for wrk, which need not be installed: the same command line, real requests, the same
# line of JSON. It confirms more sales than it made if the test says so.
WRK = """#!{python}
import json, os, sys, urllib.request
body, statuses = os.environ.get("WRK_BODY"), []
for _ in range(20):
    request = urllib.request.Request(sys.argv[-1], body and body.encode())
    request.add_header("Content-Type", "application/json")
    statuses.append(urllib.request.urlopen(request).status)
print("Running ...")
seen = dict(seconds=1.0, sales=statuses.count(201) + {lie}, looks=statuses.count(200))
print(json.dumps(dict(seen, refusals=0, errors=0, p50_ms=1, p99_ms=2, p999_ms=3)))
"""


@pytest.fixture
def with_wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Put a stand-in for wrk on the PATH, and work in a directory of our own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(lie: int = 0) -> None:
        program = tmp_path / "wrk"
        program.write_text(WRK.format(python=sys.executable, lie=lie))
        program.chmod(0o700)

    return put
