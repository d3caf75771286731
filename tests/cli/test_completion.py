"""What a shell is offered behind `soldout`: the names of the events that the service has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.uuid7 import mint_key
from tests.harness import Soldout, wait_until


@pytest.mark.parametrize(
    "words", ["event pause", "order list --ids", "buy", "watch", "--url URL audit", "top --url URL"]
)
def test_events_are_completed_where_one_is_wanted(soldout: Soldout, words: str) -> None:
    name, url = "e" + mint_key(), soldout.url
    soldout.put_event(name, capacity=1)
    words = words.replace("URL", url)
    expected = [] if words.startswith("top") else [name]
    line = f"{words} {name[:-4]}"
    # On a busy machine the first Tab may be pressed in vain: nobody is kept waiting for long.
    wait_until(lambda: completed(line, SOLDOUT_URL=url) == expected, 30, line)
    assert completed(f"{words} no-{name}", SOLDOUT_URL=url) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_nothing_is_completed_and_nothing_said_where_no_service_answers(url: str) -> None:
    assert completed("event pause gal", SOLDOUT_URL=url) == []


def completed(line: str, **variables: str) -> list[str]:
    """Return what bash is offered for the last word of a line, and check that nothing else is."""
    words = ["soldout", *line.split()]
    typed = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [Path(sys.executable).parent / "soldout"],
        env=os.environ | {"_SOLDOUT_COMPLETE": "bash_complete"} | typed | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [offered.removeprefix("plain,") for offered in done.stdout.split()]
