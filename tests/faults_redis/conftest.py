"""What tests of faults over Redis start from: hosts that sell, whatever the last test did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import put
from tests.faults.crowd import FEW, PLENTY
from tests.faults_redis.hosts import Host, Site, site_in


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("hosts")) as site:
        yield site


@pytest.fixture(scope="module")
def serve(module_site: Site) -> Host:
    """The file's service: both sides on one host."""
    return module_site.host("serve").start()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A Redis of the test's own, whose hosts it starts itself."""
    with site_in(tmp_path) as site:
        yield site


@pytest.fixture
def service(serve: Host, module_site: Site) -> Host:
    """The file's service and its Redis, started again if they were left dead."""
    assert serve.process is not None
    if not module_site.redis.running:
        module_site.redis.start()
    if serve.process.poll() is not None:
        serve.start()
    return serve


@pytest.fixture
def stadium(service: Host) -> str:
    """An event with more tickets than any crowd buys."""
    return put(service, "stadium", PLENTY)


@pytest.fixture
def club(service: Host) -> str:
    """An event that any crowd sells out."""
    return put(service, "club", FEW)
