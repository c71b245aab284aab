"""What converted leads were worth: the first sale after each, by segment, drawn to the company's mean."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.lead_worth import LeadWorth
from tests.builders import a_deal, an_account, view_of

UNTIL = pd.Timestamp("2026-03-01T00:00:00Z")


def a_lead(n: int) -> dict:
    return a_deal(
        f"l{n}", account_id=f"a{n}", kind="lead", outcome="won", closed_at="2026-01-10T00:00:00Z", amount=None
    )


def a_sale(n: int, outcome: str, amount: str, opened: str = "2026-01-11T00:00:00Z") -> dict:
    closed = None if outcome == "open" else "2026-02-01T00:00:00Z"
    return a_deal(f"s{n}", account_id=f"a{n}", created_at=opened, outcome=outcome, closed_at=closed, amount=amount)


def test_won_sales_count_with_their_amount_and_lost_ones_as_nothing():
    view = view_of(
        accounts=[an_account("a1", segment="large"), an_account("a2", segment="small"), *map(an_account, ("a3", "a4"))],
        deals=[
            *(a_lead(n) for n in (1, 2, 3, 4)),
            a_sale(1, "won", "900"),
            a_sale(2, "lost", "5000"),
            a_sale(3, "open", "7000"),  # not ended: nothing is known yet
            a_sale(4, "won", "8000", opened="2026-02-20T00:00:00Z"),  # 41 days later: another story
        ],
    )
    found = LeadWorth().fit(view, Company(), until=UNTIL)
    assert (found.leads_, found.mean_) == (2, 450.0)
    # Ten leads of the mean: (900 + 10 x 450) / 11 and (0 + 10 x 450) / 11; a new segment gets the mean.
    worth = found.of(pd.Series(["large", "small", "other", None]))
    assert worth.tolist() == pytest.approx([5400 / 11, 4500 / 11, 450, 450])


def test_nothing_is_known_before_a_lead_converted():
    found = LeadWorth().fit(view_of(deals=[a_deal()]), Company(), until=UNTIL)
    assert found.leads_ == 0
    assert np.isnan(found.of(pd.Series(["large"])).iloc[0])
