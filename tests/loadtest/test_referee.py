"""The referee's own errands: what is in doubt is asked for until it is certain how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest

from loadtest.referee import Referee
from tests.client.scripted import Script, playing


@pytest.fixture
def script() -> Iterator[Script]:
    with playing() as script:
        yield script


@pytest.fixture
def referee(script: Script) -> Iterator[Referee]:
    with closing(Referee(script.url, "a-key")) as referee:
        yield referee


def test_errands_that_run_at_once_share_no_session(referee: Referee) -> None:
    together = Barrier(2)

    def errand(_: int) -> int:
        together.wait()
        return id(referee.session)

    with ThreadPoolExecutor(2) as threads:
        assert len(set(threads.map(errand, range(2)))) == 2
