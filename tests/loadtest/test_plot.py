"""The picture of the benchmark says what was measured, whatever that was."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from loadtest.plot import Bar, bars

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [Bar("slow & sure", 20.0, 15.0, 25.0), Bar("ours", 2_000.0, 1_500.0, 2_500.0, ours=True)]


def test_the_fastest_is_on_top_and_every_bar_has_its_name_and_figure() -> None:
    drawn = ElementTree.fromstring(bars("A title", "a note", ROWS))
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert texts.index("ours") < texts.index("slow & sure")
    assert {"2,000", "20", "A title", "10", "100", "10,000"} <= set(texts)


def test_a_bar_ends_between_the_ends_of_its_whisker_and_ten_times_is_one_step() -> None:
    drawn = ElementTree.fromstring(bars("A title", "a note", [*ROWS, Bar("mid", 200, 200, 200)]))
    rects = [rect for rect in drawn.iter(f"{SVG}rect") if rect.get("height") == "16"]
    ends = [float(rect.get("x", "")) + float(rect.get("width", "")) for rect in rects]
    assert ends[0] - ends[1] == pytest.approx(ends[1] - ends[2], abs=0.3)
    whiskers = [path.get("d", "") for path in drawn.iter(f"{SVG}path")]
    least, most = (
        float(part.split()[0]) for part in whiskers[0][1:].replace("M", "H").split("H")[:2]
    )
    assert least < ends[0] < most


@pytest.mark.parametrize("figure", [0.0, 0.5, 1.0, 1e6])
def test_any_figure_can_be_drawn(figure: float) -> None:
    drawn = ElementTree.fromstring(bars("A title", "a note", [Bar("it", figure, figure, figure)]))
    assert all(float(rect.get("width", "")) >= 1 for rect in drawn.iter(f"{SVG}rect"))
