"""The last words of a load test, its files, and what its exit status is made of."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from loadtest.ending import as_expected, commit, ending, keep
from loadtest.figures import Run
from tests.loadtest.samples import oversold, run

PAGE, LOG = Path("reports/loadtest.html"), Path("reports/loadtest.log")


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run()], True),
        ([run(passed=False)], False),
        ([oversold(), run()], True),
        ([oversold(), run(passed=False)], False),
        ([run("no_lock"), run()], False),  # it shows nothing
        ([run("http://127.0.0.1:1", passed=False)], False),
    ],
)
def test_the_program_without_a_lock_must_go_red_and_all_others_green(
    runs: list[Run], expected: bool
) -> None:
    assert as_expected(runs) is expected


def test_what_sounds_like_a_fault_and_is_none_is_explained() -> None:
    text = ending([run()], PAGE, LOG)
    assert "1 no answer (impatient clients hang up early, on purpose, and ask again)" in text
    assert "1 pending (202: " in text


def test_the_last_lines_have_the_counts_beside_each_other_and_the_pages_path() -> None:
    *counts, empty, files, last = ending([oversold(), run()], PAGE, LOG).splitlines()[-10:]
    assert [line.split()[-2:] for line in counts[-5:]] == [
        ["4", "4"], ["3", "0"], ["2", "0"], ["3", "0"], ["WRONG", "RIGHT"],
    ]  # fmt: skip
    assert empty == ""
    assert files == "its numbers: reports/loadtest.json, locust's log: reports/loadtest.log"
    assert last == PAGE.resolve().as_uri()


def test_a_show_in_which_nothing_was_oversold_says_what_to_do() -> None:
    assert "give it more --users" in ending([run("no_lock"), run()], PAGE, LOG)
    assert "give it more --users" not in ending([oversold(), run()], PAGE, LOG)


def test_a_short_generator_is_said_once() -> None:
    said = ending([run(notes=["slow"]), run(notes=["slow"])], PAGE, LOG)
    assert said.count("note: slow") == 1


def test_the_page_is_drawn_from_the_file_of_numbers(tmp_path: Path) -> None:
    page = keep([oversold(), run()], tmp_path / "it", "make it again")
    numbers = json.loads((tmp_path / "it.json").read_text())
    assert [one["oversold"] for one in numbers["runs"]] == [3, 0]
    assert page == tmp_path / "it.html"
    assert "make it again" in page.read_text()


def test_the_commit_is_this_trees(tmp_path: Path) -> None:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    known = subprocess.run(git, capture_output=True, text=True, check=False)
    assert commit().removesuffix(", with changes") == known.stdout.strip()
