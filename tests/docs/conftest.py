"""A host of an operator's, on which soldout is installed as the page says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.drills import Operator
from tests.harness import ended


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """An operator whose host has soldout as deploy.md installs it."""
    operator = Operator(tmp_path)
    with ended(operator.service):
        operator.follow("deploy.md", "Install")
        assert operator.service.ready()
        yield operator
