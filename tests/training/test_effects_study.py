"""Effects on simulated companies whose truth is known: what does nothing, what does most, and who ranks them best.

Each company costs half a minute of a processor at 20 reps and 18 months; `SEEDS` companies are looked at once and kept.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from crm.company import Company
from crm.lake import TableView, newest_event
from crm.simulate import SampleCompany, lake_view, simulate
from models.effects import Effects, measure_effects
from training.snapshots import deal_snapshots

pytestmark = pytest.mark.slow_study
SEEDS, LARGER = range(1000, 1100), range(1000, 1010)
SMALL, MIDDLE, LARGE = (20, 18), (60, 24), (120, 36)
LARGEST = "involve_decision_maker"


class Seen(NamedTuple):
    sample: SampleCompany
    view: TableView
    company: Company
    rows: pd.DataFrame
    effects: Effects

    def of(self, action: str, part: str = "first") -> pd.Series:
        table = self.effects.table
        return table[(table["action"] == action) & (table["part"] == part)].iloc[0]


@cache
def seen(seed: int, size: tuple[int, int] = SMALL) -> Seen:
    sample = simulate(reps=size[0], months=size[1], seed=seed)
    view, company = lake_view(sample), Company.parse(sample.settings)
    until = pd.Timestamp(newest_event(view))
    rows = deal_snapshots(view, company, until=until)
    return Seen(sample, view, company, rows, measure_effects(rows, view=view, company=company, until=until))


def test_of_what_does_nothing_the_interval_holds_zero_as_often_as_it_says():
    """Visits and tasks raise no interest and do not depend on it."""
    for action in ("visit", "task"):
        known = [row for seed in SEEDS if np.isfinite((row := seen(seed).of(action))["low"])]
        holds = float(np.mean([row["low"] <= 0 <= row["high"] for row in known]))
        # A study is run for its figures.
        print(f"{action}: the 90 % interval holds 0 in {holds:.0%} of {len(known)} companies")  # noqa: T201
        # 90 of 100 give or take 3.3; .85 to .98 is what the placebo's doubt leaves room for.
        allowed = 2.5 * np.sqrt(0.9 * 0.1 / len(known)) if len(known) < 100 else 0.0
        assert 0.85 - allowed <= holds <= 0.98 + allowed


def test_outgoing_mail_is_never_said_to_help_nor_anything_to_harm_and_proposals_are_refused():
    for seed in SEEDS:
        table = seen(seed).effects.table
        mail = table[table["action"] == "email"]
        assert not (mail["low"] > 0).any()
        assert set(mail["basis"]).isdisjoint({"adjusted", "measured"})
        assert not ((table["basis"] == "adjusted") & (table["corrected"] <= 0)).any()
        assert seen(seed).of("proposal")["reason"] == "process_step"


def found_share(size, seeds):
    """Shares of companies in which the largest effect is found: with the allowance for bias, without, and claimed."""
    rows = [seen(seed, size).of(LARGEST) for seed in seeds]
    allowed = np.mean([row["low"] > 0 for row in rows])
    alone = np.mean([row["corrected"] - 1.645 * row["corrected_se"] > 0 for row in rows])
    claimed = np.mean([row["basis"] == "adjusted" for row in rows])
    wrong = np.mean([row["high"] < 0 for row in rows])
    print(  # noqa: T201
        f"{size[0]} reps, {size[1]} months, {len(rows)} companies: {LARGEST} found in {alone:.0%}, with the allowance "
        f"for bias in {allowed:.0%}, called adjusted in {claimed:.0%}"
    )
    return float(alone), float(wrong)


def test_the_largest_true_effect_is_found_in_half_of_the_small_companies_and_never_the_wrong_way_round():
    shares = [found_share(SMALL, SEEDS), found_share(MIDDLE, LARGER), found_share(LARGE, LARGER)]
    assert all(wrong == 0 for _, wrong in shares)
    assert shares[0][0] >= 0.5


def test_meetings_which_do_little_are_seldom_claimed():
    """Reps meet keen customers: adjusted for the record alone a meeting looks four times as good as it is."""
    rows = [seen(seed).of("meeting") for seed in SEEDS]
    print(f"meeting claimed in {np.mean([row['basis'] == 'adjusted' for row in rows]):.0%} of {len(rows)} companies")  # noqa: T201
    # Without the placebos' share taken off.
    plainly = float(np.mean([row["adjusted"] - 1.645 * row["adjusted_se"] > 0 for row in rows]))
    assert plainly > 0.3  # or this test could not fail
    assert np.mean([row["basis"] == "adjusted" for row in rows]) <= 0.1


def test_estimated_and_true_effects_rank_alike_by_action_and_segment():
    every, apart = [], []
    for seed in SEEDS:
        world = seen(seed)
        parts = world.effects.segments
        parts = parts[(parts["dimension"] == "segment") & (parts["part"] == "first")]
        true = world.sample.truth["effects"].rename(columns={"segment": "level", "effect": "true"})
        both = parts.merge(true, on=["action", "level"])
        every.append(float(spearmanr(both["shrunk"], both["true"]).statistic))
        some = both[both["true"] != 0]
        apart.append(float(spearmanr(some["shrunk"], some["true"]).statistic))
    for name, values in (("all", every), ("effects other than 0", apart)):
        print(f"rank correlation, {name}: mean {np.mean(values):.2f}, from {min(values):.2f} to {max(values):.2f}")  # noqa: T201
    assert np.mean(every) > 2 * np.std(every) / np.sqrt(len(every))
