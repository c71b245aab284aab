"""Customers without a deal are ranked where traits tell about first deals, and not where they do not."""

import numpy as np
import pandas as pd
import pytest

from models.likeness import Likeness
from tests.builders import a_deal, an_account, view_of

UNTIL = pd.Timestamp("2026-03-01T00:00:00Z")


def company(share_small: float, share_large: float, n: int = 900):
    """First deals that ended evenly over 500 days; small and large customers win at their own share."""
    rng = np.random.default_rng(7)
    accounts, deals = [], []
    for i in range(n):
        large = i % 2 == 0
        accounts.append(an_account(f"a{i}", segment="large" if large else "small", employees=50, industry="Food"))
        ended = UNTIL - pd.Timedelta(days=1 + 500 * i / n)
        won = rng.random() < (share_large if large else share_small)
        deals.append(
            a_deal(
                f"d{i}",
                account_id=f"a{i}",
                created_at=(ended - pd.Timedelta(days=20)).isoformat(),
                closed_at=ended.isoformat(),
                outcome="won" if won else "lost",
            )
        )
    without = [an_account("free_large", segment="large", employees=50, industry="Food")]
    without += [an_account("free_small", segment="small", employees=50, industry="Food")]
    late = an_account("not_yet", segment="large", created_at="2026-04-01T00:00:00Z")
    return view_of(accounts=[*accounts, *without, late], deals=deals)


def test_a_trait_that_tells_ranks_those_without_a_deal():
    view = company(0.1, 0.5)
    found = Likeness().fit(view, until=UNTIL)
    assert found.better_
    ranked = found.rank(view, at=UNTIL)
    assert ranked["account_id"].tolist() == ["free_large", "free_small"]  # 'not_yet' came later
    # The shares that the data were drawn from, within a penalty that draws a little to the mean.
    assert ranked["chance"].tolist() == pytest.approx([0.5, 0.1], abs=0.08)
    assert (ranked.at[0, "trait"], ranked.at[0, "value"]) == ("segment", "large")


def test_traits_that_tell_nothing_rank_nobody_and_give_the_base_rate():
    view = company(0.3, 0.3)
    found = Likeness().fit(view, until=UNTIL)
    assert not found.better_
    assert found.base_ == pytest.approx(0.3, abs=0.05)  # 900 draws: three standard errors are 0.046
    assert found.rank(view, at=UNTIL).empty


def test_too_few_first_deals_are_no_ground():
    found = Likeness().fit(company(0.0, 1.0, n=60), until=UNTIL)
    assert (found.better_, found.deals_) == (False, 60)
    assert np.isnan(found.gain_)


def test_nothing_that_ended_later_is_learnt_from():
    early = UNTIL - pd.Timedelta(days=250)
    whole, cut = Likeness().fit(company(0.1, 0.5), until=early), company(0.1, 0.5)
    assert whole.deals_ == sum(1 for d in cut.arrow("deals")["closed_at"].to_pylist() if pd.Timestamp(d) <= early)


def test_no_data_at_all_is_no_error():
    found = Likeness().fit(view_of(accounts=[an_account()]), until=UNTIL)
    assert found.deals_ == 0
    assert found.rank(view_of(accounts=[an_account()]), at=UNTIL).empty
