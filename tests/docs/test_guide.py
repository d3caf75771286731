"""The developer's guide: every page is typed from top to bottom, and shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service import client
from service.problems import KINDS
from tests.docs.snippets import Step, blocks, commands, differs, run_page
from tests.harness import Soldout

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
PAGES = sorted(GUIDE.glob("[1-9]-*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_page_runs_from_top_to_bottom(path: Path, demo: Soldout, tmp_path: Path) -> None:
    env = {name: value for name, value in demo.env.items() if name != "SOLDOUT_BIND"}
    assert run_page(path.read_text(), demo, tmp_path, env) >= 4


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_names_the_services_address_once(path: Path) -> None:
    """Who serves elsewhere has one line to change."""
    typed = [b.text for b in blocks(path.read_text(), "console", "python", "text")]
    named = [line for text in typed for line in text.splitlines() if ":8000" in line]
    assert named == ["$ export SOLDOUT_URL=http://127.0.0.1:8000"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_file_that_a_page_writes_is_used_there(path: Path) -> None:
    page = path.read_text()
    typed = " ".join(step.command for block in blocks(page, "console") for step in commands(block))
    for name in re.findall(r"^```python\n# (\w+\.py)$", page, re.MULTILINE):
        assert name in typed or name == "conftest.py"  # which pytest finds by itself


def test_git_ignores_what_the_pages_leave_behind() -> None:
    words = " ".join(path.read_text() for path in PAGES)
    names_of_files = r"^# (\w+\.py)$|\b(\w+\.(?:db|csv|json))\b|--output-path (\w+)"
    left = re.findall(names_of_files, words, re.MULTILINE)
    names = {name or data or f"{folder}/" for name, data, folder in left}
    assert {"shop.db", "orders.csv", "conftest.py", "tickets/"} <= names
    ignored = (GUIDE.parents[1] / ".gitignore").read_text().split()
    assert {f"/{name}" for name in names} <= set(ignored)


def test_the_first_page_leads_to_all_others() -> None:
    assert re.findall(r"\]\((\d-[\w-]+\.md)\)", (GUIDE / "README.md").read_text()) == [
        path.name for path in PAGES
    ]


def test_links_between_pages_lead_somewhere() -> None:
    for path in GUIDE.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (GUIDE / target).exists(), f"{path.name}: {target}"


def test_the_page_of_refusals_has_every_problem_with_its_status_and_its_exception() -> None:
    page = (GUIDE / "3-refusals.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| (.+?) \|", page, re.MULTILINE)
    assert {slug: int(status) for slug, status, _ in rows} == {
        slug: kind.status for slug, kind in KINDS.items()
    }
    named = {slug: re.findall(r"`(\w+)`", said)[0] for slug, _, said in rows}
    own = {kind.slug: kind.__name__ for kind in client.Refused.__subclasses__()}
    for slug, name in named.items():
        if "tried again" not in rows[[row[0] for row in rows].index(slug)][2]:
            assert name == own.get(slug, "Refused")


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        ("sold 2\n", "sold 2\n", True),
        ("sold 2\n", "sold 3\n", False),
        ('{"id":"…","n":1}\n', '{"id":"abc","n":1}\n', True),
        ('{"id":"…","n":1}\n', '{"id":"abc","n":2}\n', False),
        ("HTTP/1.1 201\n…\nX: 1\n", "HTTP/1.1 201\na: b\nc: d\nX: 1\n", True),
        ("HTTP/1.1 201\n…\nX: 1\n", "HTTP/1.1 201\na: b\nX: 2\n", False),
        ("a…b\n", "a\nb\n", False),
        ("(.*)\n", "anything\n", False),
        ("…\n", "", True),
    ],
)
def test_dots_stand_for_what_differs_and_for_nothing_else(
    expected: str, seen: str, same: bool
) -> None:
    assert (differs(expected, seen) == "") is same


def test_a_command_shows_what_stands_below_it() -> None:
    (block,) = blocks("```console\n$ one\n1\n2\n$ two\n```\n", "console")
    assert list(commands(block)) == [Step(1, "one", "1\n2\n"), Step(1, "two", None)]
