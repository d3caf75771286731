"""The document that the running service gives of itself."""

from __future__ import annotations

import pytest
import requests

from tests.harness import Soldout
from tests.openapi.documented import Documented


@pytest.fixture(scope="module")
def documented(soldout: Soldout) -> Documented:
    return Documented(requests.get(f"{soldout.url}/openapi.json", timeout=10).json())
