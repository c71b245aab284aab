"""Reasons add up as they are read, in words of both languages."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.format import Formats
from serving.i18n import language
from serving.pages.reasons import MOST, WIDTH, ReasonList, in_money, in_points

EN = Formats(language("en"), "USD", ZoneInfo("UTC"), datetime(2026, 11, 24, tzinfo=UTC))


def name(feature: str, value: object, text: object) -> tuple[str, bool]:
    return feature, feature == "touches"


def rows(base: float, steps: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [(k, 1.0, None, v, base, base + sum(steps.values())) for k, v in steps.items()],
        columns=["feature", "value", "text", "contribution", "base_value", "prediction"],
    )


def points(base: float, steps: dict[str, float]) -> ReasonList:
    return in_points(
        EN, rows(base, steps), name=name, theme=lambda f: f"theme {f[0]}", base_text="base", total_text="total"
    )


def read(said: str) -> float:
    return float(re.sub(r"[^\d.−-]", "", said).replace("−", "-"))


@given(
    st.floats(0.05, 0.5),
    st.lists(st.floats(-0.04, 0.04), min_size=1, max_size=12),
)
def test_what_one_reads_adds_up_to_the_total(base, contributions):
    steps = {f"f{i}": c for i, c in enumerate(contributions)}
    if not 0 <= base + sum(contributions) <= 1:
        return
    shown = points(base, steps)
    assert read(shown.base_said) + sum(read(step.said) for step in shown.steps) == pytest.approx(
        read(shown.total_said), abs=1e-6
    )
    assert read(shown.base_said) + read(shown.change_said) == pytest.approx(read(shown.total_said), abs=1e-6)


def test_the_largest_come_first_and_the_rest_is_summed_by_theme():
    """0.05 to 0.12 are the eight largest; what is left of g is 0.01 + 0.03 + 0.04 = 0.08, of f 0.02."""
    letters = ["g", "f", "g", "g", *"ffffffff"]
    shown = points(0.1, {f"{letter}{i}": 0.01 * (i + 1) for i, letter in enumerate(letters)})
    assert [step.text for step in shown.steps[:MOST]] == [f"f{i}" for i in range(11, 3, -1)]
    assert [(step.text, step.said) for step in shown.steps[MOST:]] == [
        ("theme g: 3 more", "+8 points"),
        ("theme f: 1 more", "+2 points"),
    ]


def test_direction_is_told_by_sign_and_by_word_of_the_bar():
    up, down = points(0.5, {"touches": 0.2, "silence": -0.1}).steps
    assert (up.said, up.bar.kind, up.raises, up.can_act) == ("+20 points", "up", True, True)
    assert (down.said, down.bar.kind, down.raises, down.can_act) == ("−10 points", "down", False, False)


def test_each_bar_starts_where_the_last_one_ended():
    # 0.2 → 0.5 → 0.4 on a scale from 0 to 0.5, drawn 180 wide.
    shown = points(0.2, {"a": 0.3, "b": -0.1})
    assert (shown.base.x, shown.base.width) == (0, WIDTH * 0.4)
    assert (shown.steps[0].bar.x, shown.steps[0].bar.width) == (WIDTH * 0.4, WIDTH * 0.6)
    assert (shown.steps[1].bar.x, shown.steps[1].bar.width) == (WIDTH * 0.8, WIDTH * 0.2)
    assert (shown.total.x, shown.total.width) == (0, WIDTH * 0.8)


def test_small_movements_are_told_in_tenths():
    shown = points(0.2, {"a": 0.012})
    assert (shown.base_said, shown.steps[0].said, shown.total_said) == ("20.0%", "+1.2 points", "21.2%")


def test_reasons_of_money_are_in_money():
    frame = rows(0.0, {"closed": 102_623.4, "d1": 50_000.3, "d2": -1_000.0})
    shown = in_money(EN, frame, name=name, base_text="start", total_text="total")
    assert [step.said for step in shown.steps] == ["+$102,623", "+$50,001", "−$1,000"]
    # 102,623.4 + 50,000.3 = 152,623.7, which reads $152,624; less 1,000 is the total.
    assert shown.total_said == "$151,624"


def test_what_may_not_be_told_counts_among_the_others():
    shown = points(0.2, {"other_reasons": 0.2, "stage": 0.1})
    assert [(step.text, step.said) for step in shown.steps] == [
        ("stage", "+10 points"),
        ("theme o: 1 more", "+20 points"),
    ]
