"""The model of the protocol: in no state a promise breaks, and each planted bug is found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.model.checks import AT_ONCE, PLANTED, SOUND, Planted, Sound
from tests.model.spin import MODELS, MissingProgram, Verdict, check

Verdicts: TypeAlias = dict[str, Future[Verdict]]

# Not for its time: it needs spin, which a developer's machine may lack.
needs_spin = pytest.mark.long


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Iterator[Verdicts]:
    """What is found by each check that is asked for, two of them at a time."""
    asked = [
        wanted
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        for wanted in item.callspec.params.values()
        if isinstance(wanted, Sound | Planted)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {repr(wanted): pool.submit(wanted.run) for wanted in asked}
        pool.shutdown(cancel_futures=True)


@needs_spin
@pytest.mark.parametrize("sound", [s for s in SOUND if not s.thorough], ids=lambda s: s.name)
def test_whatever_breaks_in_whatever_order_the_promises_hold(
    sound: Sound, verdicts: Verdicts
) -> None:
    found = verdicts[repr(sound)].result()
    assert found.error is None
    assert found.states > 100


@needs_spin
@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: f"{p.model}-{p.name}")
def test_a_bug_in_the_protocol_would_be_found(planted: Planted, verdicts: Verdicts) -> None:
    found = verdicts[repr(planted)].result()
    assert planted.breaks in (found.error or "nothing")


def test_every_bug_that_can_be_planted_is() -> None:
    models = "".join(model.read_text() for model in MODELS.glob("*.pml"))
    planted = {define for p in PLANTED for define in p.defines if define.startswith("BUG_")}
    assert set(re.findall(r"BUG_\w+", models)) == planted


def test_without_spin_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgram, match=r"^the model needs spin: apt-get install spin$"):
        check("many_hosts.pml", [])
