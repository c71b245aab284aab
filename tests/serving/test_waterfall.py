"""What moved a forecast: each deal's part goes to one cause, and all parts add up to the difference."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from crm.company import Company
from serving.ledger import Ledger
from serving.store import Store
from serving.waterfall import Between, Standing, credit_before, earlier, shares_of, standing, steps


def deals(**rated: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rated, orient="index", columns=["chance", "worth"])


def between(
    share: dict[str, float],
    *,
    before: dict[str, float] | None = None,
    closed: dict[str, tuple[str, float]] | None = None,
    created: tuple[str, ...] = (),
    later: tuple[str, ...] = (),
    amounts: tuple[str, ...] = (),
) -> Between:
    ended = pd.DataFrame.from_dict(closed or {}, orient="index", columns=["outcome", "booked"])
    old = pd.Series(share if before is None else before, dtype=float)
    return Between(ended, frozenset(created), frozenset(later), frozenset(amounts), pd.Series(share, dtype=float), old)


def amounts_of(found: list) -> dict[str, float]:
    return {step.cause: pytest.approx(step.amount) for step in found}


def test_every_cause_of_a_small_ledger_is_as_by_hand():
    # Before: 1000 closed; won 50% x 400 = 200, lost 30% x 1000 = 300, slipped 40% x 500 = 200, amount 50% x 600 = 300,
    # same 20% x 1000 = 200; a correction of 50 on top of these 1200; 500 still to be created. Sum 2750.
    before = Standing(
        1000, 1250, 500, deals(won=(0.5, 400), lost=(0.3, 1000), slip=(0.4, 500), amount=(0.5, 600), same=(0.2, 1000))
    )
    # After: won brought 450, so 1450 closed; slip 10% x 500 = 50, amount 60% x 500 = 300, same 30% x 1000 = 300,
    # new 25% x 800 = 200; a correction of 30 on top of these 850; 350 still to be created. Sum 2680.
    after = Standing(1450, 880, 350, deals(slip=(0.1, 500), amount=(0.6, 500), same=(0.3, 1000), new=(0.25, 800)))
    known = between(
        dict.fromkeys(("won", "lost", "slip", "amount", "same", "new"), 1.0),
        closed={"won": ("won", 450.0), "lost": ("lost", 0.0)},
        created=("new",),
        later=("slip",),
        amounts=("amount",),
    )
    found = steps(before, after, known)
    assert amounts_of(found) == {
        "won": 450 - 200,
        "lost": -300,
        "slipped": 50 - 200,
        "amount": 0.5 * (500 - 600),
        "created": 200,
        "hands": 0,
        "to_come": 350 - 500,
        # same +100, amount's chance (60% - 50%) x 500 = +50, the correction 30 - 50 = -20
        "model": 100 + 50 - 20,
    }
    assert sum(step.amount for step in found) == pytest.approx(2680 - 2750)
    rests = {step.cause: step.rest for step in found if step.rest}
    assert rests == {"to_come": -150, "model": pytest.approx(-20)}


def test_a_deal_that_came_from_others_is_changed_hands_and_a_split_counts_by_its_part():
    before = Standing(0, 50, 0, deals(came=(0.5, 1000), split=(0.5, 200), went=(0.1, 500)))
    after = Standing(0, 560, 0, deals(came=(0.5, 1000), split=(0.6, 200)))
    known = between({"came": 1.0, "split": 0.5}, before={"split": 0.5, "went": 1.0})
    found = steps(before, after, known)
    by_cause = {step.cause: step for step in found}
    # came: 50% x 1000; went: 10% x 500. Half of the split's +20 counts here.
    assert by_cause["hands"].deals == {"came": 500.0, "went": -50.0}
    assert by_cause["model"].deals == {"split": pytest.approx(10.0)}
    assert sum(step.amount for step in found) == pytest.approx(510)


def test_a_deal_both_pushed_and_changed_in_amount_is_parted():
    before, after = Standing(0, 500, 0, deals(d=(0.5, 1000))), Standing(0, 240, 0, deals(d=(0.2, 1200)))
    found = steps(before, after, between({"d": 1.0}, later=("d",), amounts=("d",)))
    # The amount at the old chance: 50% x 200; the rest by slipping: (20% - 50%) x 1200.
    assert {s.cause: s.amount for s in found if round(s.amount)} == {"amount": 100.0, "slipped": pytest.approx(-360.0)}


def test_a_standing_takes_the_amount_when_won_from_the_expected_amount():
    rows = pd.DataFrame(
        {
            "deal_id": ["a", "b"],
            "win_probability": [0.4, 0.0],
            "expected_amount": [400.0, 0.0],
            "p_win_in_period": [0.1, 0.0],
        }
    )
    row = pd.Series({"expected_closed": 10.0, "expected_open": 110.0, "expected_new": float("nan")})
    found = standing(row, rows)
    assert found.total == 120.0
    assert found.deals.to_dict("index") == {"a": {"chance": 0.1, "worth": 1000.0}, "b": {"chance": 0.0, "worth": 0.0}}


def test_owners_of_before_get_the_credit_except_of_splits():
    credit = pd.DataFrame(
        {"deal_id": ["a", "b", "b"], "rep_id": ["r2", "r2", "r3"], "share": [1, 0.5, 0.5], "split": [False, True, True]}
    )
    log = pd.DataFrame({"deal_id": ["a", "b"], "field": "owner_id", "was": "r1", "became": "r2"})
    assert shares_of(credit_before(credit, log), ["r1"]).to_dict() == {"a": 1.0}
    assert shares_of(credit, ["r2"]).to_dict() == {"a": 1.0, "b": 0.5}


@pytest.fixture
def ledger(tmp_path: Path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield Ledger(store)
    store.close()


def seal(ledger: Ledger, kind: str, day: int) -> datetime:
    as_of = datetime(2026, 2, day, 6, tzinfo=UTC)
    ledger.add(kind, "team", pd.DataFrame({"team_id": ["company"]}), as_of=as_of, model_version="1", data_cut=1)
    return as_of


@pytest.mark.parametrize(
    ("sealed", "chosen"),
    [
        ([("issued", 10), ("issued", 13), ("issued", 19)], ("issued", 13)),  # the newest that is a week old
        ([("issued", 18), ("reconstructed", 12)], ("reconstructed", 12)),  # a week old before one that was issued
        ([("issued", 17), ("issued", 19)], ("issued", 17)),  # none is a week old: the oldest
        ([("issued", 20)], None),  # today's own
    ],
)
def test_the_forecast_to_compare_with_is_a_week_old_where_there_is_one(ledger, sealed, chosen):
    for kind, day in sealed:
        seal(ledger, kind, day)
    company = Company()
    as_of = datetime(2026, 2, 20, 6, tzinfo=UTC)
    found = earlier(ledger, "team", as_of=as_of, period=company.period_of(as_of.date()), company=company)
    assert (None if found is None else (found.kind, found.as_of.day)) == chosen
