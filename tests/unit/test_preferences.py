"""The `Prefer` header: how long a client wants to wait, and what it is told was granted."""

from __future__ import annotations

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from service.preferences import NOTHING_PREFERRED, Preferences, read_preferences
from tests.harness import SEED

AT_ONCE = Preferences(0.0, "respond-async")


def waiting(seconds: int) -> Preferences:
    return Preferences(float(seconds), f"wait={seconds}")


@pytest.mark.parametrize(
    ("header", "preferences"),
    [
        (None, NOTHING_PREFERRED),
        ("", NOTHING_PREFERRED),
        ("respond-async", AT_ONCE),
        ("Respond-Async", AT_ONCE),
        ("respond-async; x=1", AT_ONCE),
        ("return=minimal, respond-async", AT_ONCE),
        ("wait=7", waiting(7)),
        ("WAIT = 7", waiting(7)),
        ('wait="7"', waiting(7)),
        ("wait=0", waiting(0)),
        ("wait=007", waiting(7)),
        ("handling=lenient,wait=7;x=y", waiting(7)),
        ("wait=7, wait=9", waiting(7)),
        # Both: wait so long, and be told then.
        ("wait=7, respond-async", Preferences(7.0, "respond-async, wait=7")),
        ("respond-async, wait=7", Preferences(7.0, "respond-async, wait=7")),
    ],
)
def test_a_client_says_how_long_it_waits(header: str | None, preferences: Preferences) -> None:
    assert read_preferences(header, 30.0) == preferences


@pytest.mark.parametrize("asked", ["31", "3600", "999999999"])
def test_nobody_waits_beyond_the_deadline_and_the_answer_says_so(asked: str) -> None:
    assert read_preferences(f"wait={asked}", 30.5) == waiting(30)


@pytest.mark.parametrize(
    "header",
    [
        "wait",
        "wait=",
        "wait=soon",
        "wait=-1",
        "wait=1.5",
        "wait=+5",
        "wait=٣",
        "wait=²",
        "wait=1e3",
        "wait=" + "9" * 10,
        "wait=" + "9" * 5_000,
        "await=5",
        "respond-asynchronously",
        ",;=,",
    ],
    ids=lambda header: header[:20],
)
def test_what_is_not_understood_is_ignored_as_the_rfc_asks(header: str) -> None:
    assert read_preferences(header, 30.0) == NOTHING_PREFERRED


@seed(SEED)
@given(st.text())
def test_no_header_is_a_reason_to_fail(header: str) -> None:
    read_preferences(header, 30.0)
    read_preferences(f"wait={header}", 30.0)
