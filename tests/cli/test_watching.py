"""`soldout watch`: the stock as it is sold, in its place on a terminal, line by line elsewhere."""

from __future__ import annotations

import json
import signal
import sys

from tests.cli.conftest import typing
from tests.cli.terminal import Terminal
from tests.client.scripted import SILENCE, Answer, playing, problem
from tests.client.test_streaming import entry, telling
from tests.harness import wait_until

OVER = problem(404, "unknown-event", detail="the event is gone")  # a way to end what never ends


def watched(*words: str) -> tuple[int, str]:
    with playing() as script:
        script.play(telling(entry(9), entry(8), entry(3, event="ball")), OVER)
        typed = typing({"SOLDOUT_URL": script.url})("watch", *words)
        return typed.status, typed.out


def test_each_change_is_a_line() -> None:
    status, out = watched()
    assert out.splitlines() == [
        "2026-11-23T09:00:00Z gala: on_sale, 9 remaining, 0 held, 0 sold",
        "2026-11-23T09:00:00Z gala: on_sale, 8 remaining, 0 held, 1 sold",
        "2026-11-23T09:00:00Z ball: on_sale, 3 remaining, 0 held, 6 sold",
    ]
    assert status == 1


def test_each_change_is_a_line_of_json_for_machines() -> None:
    status, out = watched("gala", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert [stock["remaining"] for stock in told[:3]] == [9, 8, 3]
    assert told[3]["error"] == "UnknownEvent"
    assert status == 1


def test_on_a_terminal_the_table_stays_in_its_place_until_ctrl_c() -> None:
    with playing() as script:
        script.play(telling(entry(9), entry(3, event="ball"), entry(8)), SILENCE)
        command = [sys.executable, "-m", "service", "watch", "--url", script.url]
        with Terminal(command) as terminal:
            wait_until(lambda: len(script.seen) == 2, 20, terminal.written)
            rows = [line.split()[:3] for line in terminal.shown()]
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.process.wait(20) == 0
    assert rows == [
        ["EVENT", "STATUS", "REMAINING"],
        ["gala", "on_sale", "8"],
        ["ball", "on_sale", "3"],
    ]


def test_a_service_that_does_not_stream_says_so() -> None:
    with playing() as script:
        script.play(Answer(200, b"<html>", media_type="text/html"))
        typed = typing({"SOLDOUT_URL": script.url})("watch")
    assert (typed.status, typed.out) == (1, "")
    assert "is no stream" in typed.err
