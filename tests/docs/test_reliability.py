"""The page on reliability names a test for each fault in its table, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()


def rows() -> list[str]:
    _, _, table = PAGE.partition("| fault |")
    return [line for line in table.partition("\n\n")[0].splitlines()[2:] if line.startswith("|")]


def test_every_fault_is_shown_by_a_test_that_exists() -> None:
    assert len(rows()) >= 20
    for row in rows():
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, f"no test: {row}"
        for path, name in named:
            assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"
