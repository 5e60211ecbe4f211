"""Charts are well-formed SVG with a name and a description, whatever the figures are."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from gateway.web.charts import HEIGHT, WIDTH, Words, bar_chart, line_chart, ring, rounded_up, scale

SVG = "{http://www.w3.org/2000/svg}"
words = Words("pain", "Pain <over> time & more", "Now 3 of 10.", "1 Jan", "28 Jan")
values = st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=60)


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(str(markup).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


@given(values)
def test_every_point_of_a_line_is_inside_the_picture(found: list[float]) -> None:
    days = [(date(2026, 1, 1) + timedelta(days=n), value) for n, value in enumerate(found)]
    svg = parsed(line_chart(days, scale(0, 10, 5), words, (2.0, 6.0)))
    dots = svg.findall(f"{SVG}circle")
    assert len(dots) == len(found)
    assert all(0 <= float(d.get("cx", "")) <= WIDTH and 0 <= float(d.get("cy", "")) <= HEIGHT for d in dots)


@given(values)
def test_a_higher_value_is_never_drawn_lower(found: list[float]) -> None:
    days = [(date(2026, 1, 1) + timedelta(days=n), value) for n, value in enumerate(found)]
    svg = parsed(line_chart(days, scale(0, 10, 5), words))
    heights = [-float(dot.get("cy", "")) for dot in svg.findall(f"{SVG}circle")]
    by_value = [height for _, height in sorted(zip(found, heights, strict=True))]
    assert by_value == sorted(by_value)


def test_a_chart_tells_its_name_and_description_to_a_screen_reader() -> None:
    svg = parsed(line_chart([(date(2026, 1, 1), 3.0)], scale(0, 10), words))
    assert svg.get("role") == "img"
    title, description = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert (title.text, description.text) == ("Pain <over> time & more", "Now 3 of 10.")
    assert svg.get("aria-labelledby") == title.get("id")
    assert svg.get("aria-describedby") == description.get("id")


def test_a_day_without_data_has_no_bar_and_a_reached_goal_looks_different() -> None:
    svg = parsed(bar_chart([1_000, None, 6_000], scale(0, 8_000), words, goal=5_000))
    kinds = [rect.get("class") for rect in svg.findall(f"{SVG}rect")]
    assert kinds == ["chart-bar", "chart-bar chart-bar-reached"]


def test_no_chart_carries_style_or_script_which_the_content_policy_would_refuse() -> None:
    for chart in (
        line_chart([(date(2026, 1, 1), 3.0)], scale(0, 10), words, (1, 5)),
        bar_chart([1, 2, None], scale(0, 4), words, goal=3),
        ring(0.4, words),
    ):
        assert all("style" not in each.attrib and each.tag != f"{SVG}script" for each in parsed(chart).iter())


@given(st.floats(1, 1e6))
def test_an_axis_ends_at_or_above_the_largest_value_and_not_far_above(largest: float) -> None:
    assert largest <= rounded_up(largest) <= 2.01 * largest + 1
