"""Feature tables as matrices."""

import numpy as np
import pandas as pd

from models.encoding import Encoder, feature_columns


def deals(n=100):
    return pd.DataFrame(
        {
            "deal_id": [f"d{i}" for i in range(n)],
            "as_of": pd.Timestamp("2026-01-05", tz="UTC"),
            "amount": np.linspace(1, 1e6, n),
            "empty": np.nan,
            "same": 3.0,
            "owner_id": pd.Categorical(["anna", "ben"] * (n // 2)),
            "_outcome": "won",
        }
    )


def test_keys_and_private_columns_are_no_features_but_an_owner_is():
    assert feature_columns(deals()) == ["amount", "empty", "same", "owner_id"]


def test_columns_that_say_nothing_are_dropped():
    assert Encoder().fit(deals()).names_ == ["amount", "owner_id"]


def test_an_unseen_level_shares_the_code_of_other_and_a_missing_one_has_none():
    encoder = Encoder().fit(deals())
    rows = deals(4).assign(owner_id=["anna", "nobody seen before", None, "ben"])
    codes = encoder.trees(rows)[:, 1]
    assert codes[0] != codes[3]
    assert codes[1] not in (codes[0], codes[3])
    assert np.isnan(codes[2])


def test_rare_levels_are_pooled():
    owners = ["anna"] * 60 + ["ben"] * 35 + [f"rare{i}" for i in range(5)]
    encoder = Encoder(min_rows=20).fit(deals().assign(owner_id=pd.Categorical(owners)))
    codes = encoder.trees(deals().assign(owner_id=pd.Categorical(owners)))[:, 1]
    assert len(set(codes[95:])) == 1
    assert len(set(codes)) == 3


def test_an_absent_column_counts_as_missing():
    encoder = Encoder().fit(deals())
    assert np.isnan(encoder.trees(deals(4).drop(columns="amount"))[:, 0]).all()
    assert np.isfinite(encoder.linear(deals(4).drop(columns="amount"))).all()


def test_infinite_values_count_as_missing():
    rows = deals()
    rows.loc[0, "amount"] = np.inf
    encoder = Encoder().fit(rows)
    assert np.isnan(encoder.trees(rows)[0, 0])
    assert np.isfinite(encoder.linear(rows)).all()


def test_every_linear_column_knows_its_feature():
    rows = deals().assign(amount=lambda d: d["amount"].mask(d.index < 5))
    encoder = Encoder().fit(rows)
    # amount, its missing flag, then one column a level: anna, ben, other.
    assert list(encoder.linear_feature_) == [0, 0, 1, 1, 1]
    assert encoder.linear(rows).shape == (100, 5)


def test_a_table_without_features_gives_matrices_without_columns():
    encoder = Encoder().fit(deals()[["deal_id", "as_of"]])
    assert encoder.trees(deals()).shape == (100, 0)
    assert encoder.linear(deals()).shape == (100, 0)
