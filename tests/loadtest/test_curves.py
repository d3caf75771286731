"""What is drawn lies where its numbers say, on axes that start at zero."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from loadtest.curves import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Area,
    Canvas,
    Dot,
    Line,
    Mark,
    axis,
    draw,
    number_text,
    seconds_axis,
    steps,
)

X, Y = seconds_axis(10.0), axis("tickets", -50, 100)


def drawn(*layers: Line | Area | Mark | Dot) -> ElementTree.Element:
    return ElementTree.fromstring(draw('a "title" & more', X, Y, layers))


@pytest.mark.parametrize("high", [0.0, 0.004, 0.7, 1, 3, 99, 100, 101, 12_345, 7e6])
def test_an_axis_starts_at_zero_and_has_room_for_everything(high: float) -> None:
    found = axis("it", 0, high)
    assert found.low == 0
    assert found.ticks[0] == (0, "0")
    assert found.high >= high
    assert 2 <= len(found.ticks) <= 6
    assert len({words for _, words in found.ticks}) == len(found.ticks)


def test_an_axis_below_zero_has_zero_as_one_of_its_ticks() -> None:
    assert (0, "0") in axis("it", -701, 720).ticks
    assert axis("it", -701, 720).low <= -701


def test_corners_of_the_figure_are_the_ends_of_the_axes() -> None:
    canvas = Canvas(X, Y)
    assert (canvas.x(0), canvas.x(10)) == (LEFT, WIDTH - RIGHT)
    assert (canvas.y(Y.low), canvas.y(Y.high)) == (HEIGHT - BOTTOM, TOP)
    assert canvas.y(1e9) == TOP


def test_a_line_goes_through_its_points_and_stops_at_a_gap() -> None:
    canvas = Canvas(X, Y)
    line = drawn(Line("real", [(0, 100), (5, 0), (6, None), (10, -50)]))
    path = next(p.get("d") for p in line.iter("path") if p.get("class") == "line real")
    points = [f"{canvas.x(x)} {canvas.y(y)}" for x, y in ((0, 100), (5, 0), (10, -50))]
    assert path == f"M{points[0]}L{points[1]}M{points[2]}"


def test_an_area_is_closed_and_a_point_has_its_words() -> None:
    picture = drawn(
        Area("sold", [(0, 1), (10, 1)], [(0, 0), (10, 0)]),
        Dot("wrong", 10, -50, "50 <too> many"),
        Mark("act", 2, "rush"),
    )
    area = next(p.get("d", "") for p in picture.iter("path") if p.get("class") == "area sold")
    assert area.endswith("Z")
    assert {"50 <too> many", "rush", "tickets", "seconds"} <= {t.text for t in picture.iter("text")}


def test_who_does_not_see_the_picture_is_told() -> None:
    assert drawn().get("aria-label") == 'a "title" & more'


def test_a_value_holds_until_the_next_and_the_last_to_the_end() -> None:
    assert steps([(0, 9), (4, 5)], until=10) == [(0, 9), (4, 9), (4, 5), (10, 5)]
    assert steps([], until=10) == []


def test_numbers_as_people_read_them() -> None:
    assert [number_text(n) for n in (1234567.0, -500.0, 0.25, 0.2)] == [
        "1,234,567", "\N{MINUS SIGN}500", "0.25", "0.2",
    ]  # fmt: skip
