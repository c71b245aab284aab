"""The search for parameters, on companies where who works on a deal decides, or does not."""

import numpy as np
import pandas as pd
import pytest

from models.win_core import Effort
from models.win_look import identity_names
from models.win_params import WinParams
from models.win_past import Seen
from models.win_search import NO_IDENTITY, Arena, Judged, is_better, search
from tests.models.snapshot_company import END, snapshots

LIGHT = WinParams(trees=30)


def found_in(rows, monkeypatch):
    monkeypatch.setattr("models.win_search._EFFORT", Effort(rows=5_000, linear_rows=2_000))
    arena = Arena(rows, END, horizon_weeks=30, start_month=1, cuts=2, seed=0)
    return search(arena, LIGHT, say=lambda _: None)


@pytest.fixture(scope="module")
def rows():
    return snapshots(1_300, seed=11)


def test_who_works_on_a_deal_is_dropped_where_it_says_nothing(rows, monkeypatch):
    rng = np.random.default_rng(0)
    owner = {deal: f"o{rng.integers(8)}" for deal in rows["deal_id"].unique()}
    found = found_in(rows.assign(owner_id=rows["deal_id"].map(owner)), monkeypatch)
    assert not found.params.identity
    assert found.table.set_index("candidate").loc[NO_IDENTITY, "taken"]
    assert "owner_id" in identity_names()
    assert not found.identity.kept
    assert found.identity.low <= 1e-4  # shares of the loss below that are rounding
    assert "are left out" in found.identity.sentence


def test_who_works_on_a_deal_stays_where_it_decides(rows, monkeypatch):
    # Owners sorted by how well their deals fit, and the fit itself unknown: only the owner tells.
    owner = pd.cut(rows["fit"], [-9, -1, 0, 1, 9], labels=list("abcd")).astype(str)
    found = found_in(rows.assign(owner_id=owner).drop(columns="fit"), monkeypatch)
    assert found.params.identity
    without = found.table.set_index("candidate").loc[NO_IDENTITY]
    assert without["better_high"] < 0
    # What the search without them loses, they save: the interval turns round with the sign.
    identity = found.identity
    assert identity.kept
    assert (identity.saved, identity.low, identity.high) == (
        -without["better"], -without["better_high"], -without["better_low"],
    )  # fmt: skip
    assert 0 < identity.low < identity.saved < identity.high
    assert f"by {100 * identity.saved:.1f}% (90% interval {100 * identity.low:.1f}% to" in identity.sentence


class Known(Seen):
    """Outcomes by hand instead of from snapshots."""

    y = np.array([True, False, False, False])
    deals = np.array(list("abcd"), dtype=object)


def forecasts(*said):
    p = np.array(said)
    return Judged(p, -np.where(Known.y, np.log(p), np.log(1 - p)), Known([], END, 30.0))


def test_the_lower_log_loss_wins_where_it_is_lower_on_every_deal():
    assert is_better(forecasts(0.9, 0.1, 0.1, 0.1), forecasts(0.6, 0.4, 0.4, 0.4))
    assert not is_better(forecasts(0.6, 0.4, 0.4, 0.4), forecasts(0.9, 0.1, 0.1, 0.1))


def test_level_is_the_mean_forecast_less_the_share_won():
    # (.5 - 1 + 3 x .5) / 4 = .25; squares of the errors: 4 x .25, the root of 1 over 4 is .25.
    assert forecasts(0.5, 0.5, 0.5, 0.5).level == pytest.approx((0.25, 0.25))
