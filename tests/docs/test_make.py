"""`make help` says what every target is for, before anything is set up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_help_lists_every_target_with_what_it_is_for(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    # Below `make test`, another make would say so.
    as_typed = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    helped = subprocess.run(
        ["make", "help"], cwd=tmp_path, env=as_typed, capture_output=True, text=True, check=True
    ).stdout
    told = dict(re.findall(r"^([a-z-]+) +(\S.*)$", helped, re.MULTILINE))
    assert sorted(told) == sorted(phony.split())
    assert len(told) == helped.count("\n")
    assert max(map(len, helped.splitlines())) <= 100
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
