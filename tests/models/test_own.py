"""A win model around a classifier of one's own: kept without pickle, reasons that add up, blind to who works on it."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier

from models import at_rest
from models.at_rest_tree import Unlisted
from models.own import OwnWinModel
from models.win_look import identity_names
from tests.models.snapshot_company import END, snapshots


@pytest.fixture(scope="module")
def model():
    learner = ExtraTreesClassifier(n_estimators=20, min_samples_leaf=10, random_state=0)
    return OwnWinModel(learner).fit(snapshots(300, seed=3), until=END)


@pytest.fixture(scope="module")
def rows():
    return snapshots(200, seed=8).tail(40).reset_index(drop=True)


def test_it_comes_back_from_its_files_as_it_was(model, rows, tmp_path):
    at_rest.save(model, tmp_path / "model")
    assert list((tmp_path / "model" / "estimators").glob("*.skops"))
    back = at_rest.load(tmp_path / "model")
    np.testing.assert_array_equal(back.predict_proba_won(rows), model.predict_proba_won(rows))


def test_it_has_a_share_and_its_reasons_add_up(model, rows):
    assert model.choice_.strength > 0
    p = model.predict_proba_won(rows)
    assert p.std() > 0.01
    found = model.explain(rows)
    np.testing.assert_allclose(found.base_values + found.values.sum(axis=1), p, atol=1e-6)


def test_it_never_looks_at_who_works_on_a_deal(model, rows):
    assert not identity_names() & set(model.fields_.names)
    same = model.score(rows, period_end=END, identity=False)["win_probability"]
    np.testing.assert_array_equal(same, model.predict_proba_won(rows))


def test_a_damaged_file_of_it_is_told(model, tmp_path):
    at_rest.save(model, tmp_path / "model")
    next((tmp_path / "model" / "estimators").glob("*.skops")).write_bytes(b"nothing")
    with pytest.raises(at_rest.BadModelFile, match=r"estimators/\d+\.skops"):
        at_rest.load(tmp_path / "model")


class Stranger(ClassifierMixin, BaseEstimator):
    """A class that no file may bring in, as reading it would run its code."""

    def fit(self, X, y):
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_another_s_class_is_not_kept(tmp_path):
    made = OwnWinModel(Stranger()).fit(snapshots(200, seed=3), until=END)
    with pytest.raises(Unlisted, match="Stranger"):
        at_rest.save(made, tmp_path / "model")
