"""`traceparent`, as W3C's Trace Context writes it."""

from __future__ import annotations

import pytest

from service.traceparent import read_trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-00",
        f"cc-{TRACE}-{PARENT}-01",  # a version that is to come, with what we know and with more
        f"cc-{TRACE}-{PARENT}-01-what-the-future-may-bring",
    ],
)
def test_a_request_belongs_to_the_trace_that_it_names(header: str) -> None:
    assert read_trace_id(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE[1:]}-{PARENT}-01",
    ],
)
def test_what_names_no_trace_is_let_alone(header: str | None) -> None:
    assert read_trace_id(header) is None
