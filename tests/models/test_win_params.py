"""Parameters of the win model: to and from texts, their bounds, and how they weigh snapshots."""

import json

import numpy as np
import pandas as pd
import pytest

from models.learners import TreeShape
from models.win_params import BadParams, WinParams

NOW = pd.Timestamp("2026-03-02", tz="UTC")


def test_parameters_come_back_from_json_and_from_a_runs_texts():
    chosen = WinParams("sqrt", 26.0, 90, TreeShape(leaves=31, depth=-1, penalty=0.5), 0.5, 0.0, "sigmoid")
    assert WinParams.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen
    texts = {name: str(value) for name, value in WinParams().to_dict().items()} | {"random_state": "3"}
    assert WinParams.from_dict(texts) == WinParams()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weighting": "week"}, r"weighting is 'week'. Known: snapshot, sqrt, deal"),
        ({"calibrator": "beta"}, "calibrator is 'beta'. Known: none, sigmoid, isotonic"),
        ({"trees_share": 1.5}, "trees_share is 1.5. Give a share from 0 to 1"),
        ({"half_life_weeks": 0.0}, "half_life_weeks is 0.0. Give weeks above 0"),
        ({"trees": "many"}, "trees is 'many', not of type int"),
        ({"tree_leaves": "None"}, "tree_leaves has no value"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(change, said):
    with pytest.raises(BadParams, match=said):
        WinParams.from_dict(WinParams().to_dict() | change)


def test_a_run_of_another_kind_has_no_parameters_to_take():
    with pytest.raises(BadParams, match=r"tree_leaves is missing.*Take a run that trained one"):
        WinParams.from_dict({"random_state": "0"})


def test_weights_by_snapshot_deal_and_between():
    # Deal a has four snapshots, deal b one.
    rows = pd.DataFrame({"deal_id": list("aaaab"), "as_of": [NOW] * 5})
    assert list(WinParams().weights(rows, NOW)) == [1] * 5
    by_deal = WinParams("deal").weights(rows, NOW)
    np.testing.assert_allclose(by_deal[4] / by_deal[0], 4)
    between = WinParams("sqrt").weights(rows, NOW)
    np.testing.assert_allclose(between[4] / between[0], 2)
    assert by_deal.mean() == pytest.approx(1)


def test_a_snapshot_counts_half_after_a_half_life():
    rows = pd.DataFrame({"deal_id": ["a", "b"], "as_of": [NOW, NOW - pd.Timedelta(weeks=26)]})
    new, old = WinParams(half_life_weeks=26).weights(rows, NOW)
    assert old / new == pytest.approx(0.5)
