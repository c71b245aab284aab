"""Figures: colours by token only, safe under the pages' policy, labels apart, data behind."""

import csv
import io
import re
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import chart_parts, charts, deal_charts, drawing
from serving.charts import Figure
from serving.format import Formats
from serving.i18n import language

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def formats(code: str) -> Formats:
    return Formats(language(code), "USD", ZoneInfo("UTC"), NOW)


def a_fan(code: str, p50: float = 12.4e6, title: str = "$5.8M to go") -> Figure:
    days = pd.date_range("2026-10-01", "2026-11-24").date
    return charts.fan(
        formats(code),
        title=title,
        booked=pd.Series(np.linspace(0.0, 7.2e6, len(days)), index=days),
        start=date(2026, 10, 1),
        end=date(2027, 1, 1),
        p10=11e6,
        p50=p50,
        p90=13.5e6,
        target=13e6,
        naive=12.3e6,
    )


def figures(code: str) -> dict[str, Figure]:
    f = formats(code)
    days = np.arange(0, 421, 7)
    curve = pd.DataFrame({"day": days, "won": 0.62 * (1 - np.exp(-days / 60)), "lost": 0.3 * (1 - np.exp(-days / 90))})
    bins = pd.DataFrame({"forecast": [0.1], "realised": [0.12], "low": [0.08], "high": [0.2], "rows": [100]})
    rng = np.random.default_rng(0)
    risky = pd.DataFrame(
        {"name": [f"Acme {i}" for i in range(500)], "churn_probability": rng.beta(1, 6, 500), "yearly_value": 1e4}
    )
    risky["value_at_risk"] = risky["churn_probability"] * risky["yearly_value"]
    past = pd.DataFrame({"label": ["Q3"], "p10": [9e6], "p50": [11e6], "p90": [13e6], "actual": [12.1e6]})
    return {
        "fan": a_fan(code),
        "win_curve": deal_charts.win_curve(f, title="t", curve=curve, as_of=NOW.date(), period_end=date(2027, 1, 1)),
        "calibration": charts.calibration(f, title="t", bins=bins),
        "at_risk": charts.at_risk(f, title="t", accounts=risky, horizon_days=90),
        "track_record": charts.track_record(f, title="t", subtitle="s", forecasts=past),
    }


@pytest.fixture(scope="module", params=["en", "zh"])
def drawn(request) -> dict[str, Figure]:
    return figures(request.param)


def test_every_colour_is_a_token_of_the_page(drawn):
    for name, figure in drawn.items():
        for picture in (figure.wide, figure.narrow):
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b", picture), name
            used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', picture))
            assert used <= {f"var(--{token})" for token in drawing.COLOURS} | {"none", "transparent"}, name


def test_every_token_of_a_figure_is_set_in_both_themes():
    css = Path(charts.__file__).with_name("static").joinpath("app.css").read_text(encoding="utf-8")
    light = css[: css.index("@media")]
    dark = re.findall(r"color-scheme: dark;.*?\}", css, re.DOTALL)
    assert len(dark) == 2  # by the system's wish, and by the visitor's
    for token, value in drawing.COLOURS.items():
        assert f"--{token}: {value}" in light
        assert all(f"--{token}: " in block for block in dark), token


def test_a_colour_that_is_no_token_is_refused():
    with pytest.raises(ValueError, match="#123456 is no token"):
        drawing.themed('<svg width="1" height="1" viewBox="0 0 1 1"><rect fill="#123456"/></svg>')


def test_pictures_need_neither_style_nor_script_and_stay_small(drawn):
    for name, figure in drawn.items():
        for picture in (figure.wide, figure.narrow):
            assert "style=" not in picture
            assert "<style" not in picture
            assert "<script" not in picture
            assert len(picture) < 60_000, name


def test_a_crowd_is_cut_to_what_can_be_drawn(drawn):
    marks = drawn["at_risk"].wide.count("<path")
    assert chart_parts.MAX_MARKS <= marks < 400


def test_axis_words_are_in_the_readers_language():
    assert "11月1日" in a_fan("zh").wide
    assert "US$1000万" in a_fan("zh").wide
    assert "Nov 1" in a_fan("en").wide
    assert "$10M" in a_fan("en").wide


def test_the_data_behind_are_complete_and_open_as_csv():
    figure = a_fan("en")
    head, *rows = csv.reader(io.StringIO(unquote(figure.csv_address.split(",", 1)[1]).removeprefix("\ufeff")))
    assert tuple(head) == figure.head
    assert [float(row[2]) for row in rows] == [7.2e6, 11e6, 12.4e6, 13.5e6, 13e6, 12.3e6]
    assert figure.rows[2] == ("Dec 31", "Forecast, middle", "$12,400,000")


def test_equal_figures_are_drawn_once():
    a_fan("en")
    before = drawing._drawn.cache_info().misses
    a_fan("en", title="another title stands outside the picture")
    assert drawing._drawn.cache_info().misses == before
    a_fan("en", p50=12.0e6)
    assert drawing._drawn.cache_info().misses == before + 2  # both sizes


def test_a_table_that_differs_in_one_value_deep_inside_gives_another_figure():
    def figure(middle: float) -> Figure:
        curve = pd.DataFrame({"day": np.arange(0, 700, 7), "won": 0.2, "lost": 0.1})
        curve.loc[50, "won"] = middle
        return deal_charts.win_curve(formats("en"), title="t", curve=curve, as_of=NOW.date(), period_end=None)

    assert figure(0.2).raw != figure(0.2 + 1e-9).raw
    assert figure(0.2) is figure(0.2)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=4))
def test_end_labels_keep_apart_and_inside(values):
    labels = chart_parts.end_labels([("text", v, "") for v in values], top=100.0, height=240)
    pixels = labels["at"].to_numpy() * 240 / 100
    assert (np.diff(pixels) >= chart_parts._LABEL_GAP - 1e-6).all()
    assert pixels.max() <= 240 + 1e-6


@given(st.floats(1e-3, 1e12))
def test_ticks_are_round_start_at_the_low_end_and_stay_inside(high):
    ticks = chart_parts.nice_ticks(0.0, high)
    assert 3 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] <= high * (1 + 1e-9)
    step = ticks[1]
    lead = step / 10 ** np.floor(np.log10(step) + 1e-9)
    assert min(abs(lead - nice) for nice in (1, 2, 2.5, 5)) < 1e-6


def test_time_ticks_are_month_starts_or_mondays():
    assert chart_parts.time_ticks(date(2026, 10, 1), date(2026, 12, 31), 6) == [
        date(2026, 10, 1),
        date(2026, 11, 1),
        date(2026, 12, 1),
    ]
    # 2026-11-02 is a Monday.
    assert chart_parts.time_ticks(date(2026, 11, 2), date(2026, 11, 20), 6) == [date(2026, 11, d) for d in (2, 9, 16)]


def test_names_beside_points_stand_over_no_other_name_or_point():
    # Two points 40 px apart in one row: the first name (50 px from x = 107) would cover the second point at 140,
    # so it ends at its own point; the second has room on its right.
    assert chart_parts.places([50, 50], [(100, 80), (140, 80)], room=260) == [("right", 0), ("left", 0)]
    # At the right edge (room for 20 px more) a name ends at its point.
    assert chart_parts.places([50], [(250, 80)], room=260) == [("right", 0)]
    # Three points one over the other, 4 px apart: names keep a line's distance (12 px) from each other or change sides.
    found = chart_parts.places([50, 50, 50], [(100, 80), (100, 84), (100, 88)], room=260)
    lines = [(side, y + lower) for (side, lower), y in zip(found, (80, 84, 88), strict=True)]
    assert all(abs(a[1] - b[1]) >= 12 for i, a in enumerate(lines) for b in lines[:i] if a[0] == b[0])
