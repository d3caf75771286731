"""The commands of docs/model/README.md lead to a counterexample, as it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.model.checks import PLANTED, SOUND

MODEL = Path(__file__).parents[2] / "docs" / "model"


@pytest.mark.long  # not for its time: it needs spin, which a developer's machine may lack
def test_a_counterexample_is_made_and_read_as_the_page_says(tmp_path: Path) -> None:
    shutil.copytree(MODEL, tmp_path / "docs" / "model")
    block = re.findall(r"```console\n(.*?)```", (MODEL / "README.md").read_text(), re.DOTALL)[-1]
    commands = " && ".join(re.findall(r"^\$ (.*)$", block, re.MULTILINE))
    done = subprocess.run(
        ["bash", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "assertion violated (token[me]==fence)" in done.stdout
    assert "(Nature:1)" in done.stdout
    assert "(Worker:1)" in done.stdout


def test_the_page_names_every_size_and_every_planted_bug() -> None:
    page = (MODEL / "README.md").read_text()
    named = [f"| {sound.name} | `{' '.join(sound.defines)}` |" for sound in SOUND]
    named += [f"| {planted.name} |" for planted in PLANTED]
    assert [name for name in named if name not in page] == []
