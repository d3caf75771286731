"""The page of a load test says what its numbers say, in words that stand there or are drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

from loadtest import charts
from loadtest.curves import Canvas, axis, seconds_axis
from loadtest.figures import Run, run_of
from loadtest.invariants import BOOKS_CHECKS, CHECKS
from loadtest.judgement import UNITS, judge
from loadtest.page import Show, render
from tests.loadtest.samples import oversold, peer_run, run


def page(*runs: Run) -> str:
    return render(
        Show("2026-11-26T09:00:00Z", "make it", "abc", {"kernel": "<L&x>"}, {}, list(runs))
    )


def test_every_invariant_has_a_word_for_what_it_counts() -> None:
    assert list(UNITS) == [*CHECKS, *BOOKS_CHECKS]


def test_one_run_says_that_it_was_exact_and_what_was_checked() -> None:
    text = page(run())
    assert "exact" in text
    assert "oversold</p>" not in text
    assert re.search(r"<b>✓ kept:</b> 3 orders checked|<b>✓ kept:</b> 2 orders checked", text)
    assert "&lt;L&amp;x&gt;" in text
    assert "<b>1</b> no answer (impatient clients hang up early, on purpose" in text


def test_two_runs_stand_side_by_side_with_the_wrong_one_in_red() -> None:
    text = page(oversold(), run())
    assert text.index("without a lock</h2>") < text.index("soldout</h2>")
    assert '<article class="card wrong">' in text
    assert '<article class="card right">' in text
    assert text.count('<div class="bad">') == 3
    assert '<span data-run="0" data-figure="oversold">3</span>' in text


def test_the_page_asks_nothing_of_any_other_place() -> None:
    text = page(oversold(), run())
    assert not re.findall(r"""(?:src|href)=["'](?!data:,)|url\(|@import|<script""", text)


def test_runs_beside_each_other_are_drawn_on_one_scale() -> None:
    small, large = run(), oversold()
    scale = charts.scale_of([small, large])
    assert scale.lowest == -3
    pictures = [charts.stock(one, scale) for one in (small, large)]
    ticks = [re.findall(r'text-anchor="end">([^<]+)<', picture)[:3] for picture in pictures]
    assert ticks[0] == ticks[1]


def test_the_stock_that_ends_at_zero_is_drawn_to_zero_and_the_other_below_it() -> None:
    scale = charts.scale_of([run(), oversold()])
    canvas = Canvas(seconds_axis(10.0), axis("", scale.lowest, scale.capacity))
    for one, end in ((run(), 0), (oversold(), -3)):
        picture = ElementTree.fromstring(charts.stock(one, scale))
        line = next(p.get("d", "") for p in picture.iter("path") if p.get("class") == "line real")
        assert line.endswith(f"L{canvas.x(10)} {canvas.y(end)}")


def test_a_run_in_which_nothing_was_heard_can_be_shown() -> None:
    nobody = replace(peer_run(), began_at=0.0, ended_at=10.0)
    nobody.record.clear()
    found = run_of(nobody, judge(nobody), server="soldout", users=1, seconds=10.0)
    assert not found.passed
    assert "nothing checked" in page(found)
