"""Scores of what changed alone: the same files as when everything is scored anew, and nothing where nothing changed."""

import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from serving.home import Home
from serving.rescoring import Before, fingerprints, in_order
from serving.scores import read_folder, read_pointer
from serving.scoring import score_all


def test_a_fingerprint_changes_with_values_names_and_types():
    X = pd.DataFrame({"deal_id": ["d1", "d2"], "touches": [1.0, np.nan], "stage": ["Propose", None]})
    same = fingerprints(X.copy())
    assert (fingerprints(X) == same).all()
    touched = fingerprints(X.assign(touches=[2.0, np.nan]))
    assert (touched != same).tolist() == [True, False]
    assert (fingerprints(X.rename(columns={"touches": "calls"})) != same).all()
    assert (fingerprints(X.assign(touches=[1, 0])) != same).all()


def test_rows_lent_and_rows_new_come_in_the_order_of_the_deals():
    lent = pd.DataFrame({"deal_id": ["d3", "d1", "d1"], "day": [0, 0, 30]})
    new = pd.DataFrame({"deal_id": ["d2", "d2"], "day": [0, 30]})
    found = in_order(pd.Series(["d1", "d2", "d3"]), "deal_id", lent, lambda: new)
    assert list(zip(found["deal_id"], found["day"], strict=True)) == [
        ("d1", 0),
        ("d1", 30),
        ("d2", 0),
        ("d2", 30),
        ("d3", 0),
    ]


def test_only_a_deal_that_was_there_with_the_same_inputs_is_the_same():
    # A print has more digits than a float holds; beside a new deal it must stay whole.
    long = 2**63 + 1
    before = Before(prints=pd.Series([long, 8], index=["d1", "d2"], dtype=np.uint64))
    found = before.same(pd.Series(["d1", "d2", "d3"]), np.array([long, 9, 0], np.uint64))
    assert found.tolist() == [True, False, False]
    assert before.same(pd.Series(["d1"]), np.array([long - 1], np.uint64)).tolist() == [False]
    assert Before().same(pd.Series(["d1"]), np.array([0], np.uint64)).tolist() == [False]


@pytest.fixture
def own(live_home, tmp_path):
    shutil.copytree(live_home.root, tmp_path / "home")
    return Home(tmp_path / "home")


def test_scores_of_what_changed_are_the_same_as_all_scored_anew(own):
    """A call on one open deal, before the moment of the scores: that deal's inputs change, no other's."""
    score_all(own)
    mark = read_pointer(own.scores)
    again = score_all(own, reuse=True)
    assert (again.rated, read_pointer(own.scores)) == (0, mark)  # nothing changed, so nothing was written
    view = own.lake.view()
    deals, touches = view.arrow("deals").to_pandas(), view.arrow("activities").to_pandas()
    of_open = touches[touches["deal_id"].isin(deals.loc[deals["outcome"] == "open", "deal_id"])]
    place = int(of_open.sort_values("occurred_at").index[0])
    row = view.arrow("activities").slice(place, 1).drop_columns("_seq").to_pylist()[0]
    added = pa.Table.from_pylist([{**row, "activity_id": "added", "kind": "meeting"}], view.schema("activities"))
    own.lake.merge({"activities": added}, source="test")
    part = score_all(own, reuse=True)
    assert part.rated == 1
    whole = score_all(own)
    assert whole.rated == part.rows["deals"] + part.rows["leads"] > 20
    of_part, of_whole = read_folder(part.folder)[0], read_folder(whole.folder)[0]
    assert set(of_part) == set(of_whole)
    for name, frame in of_whole.items():
        pd.testing.assert_frame_equal(of_part[name], frame)
