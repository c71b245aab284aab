"""Effects measured on a whole sample company and kept with the model; the largest true one is found there."""

import numpy as np
import pandas as pd
import pytest

from models.win import WinModel
from training import registry
from training.effects import TooFewClosed, effects_of, measure, newest_effects


@pytest.fixture(scope="module")
def tracking(tiny, tiny_rows, tmp_path_factory):
    place = f"sqlite:///{tmp_path_factory.mktemp('effects') / 'mlflow.db'}"
    model = WinModel(horizon_weeks=20, replicates=0, cuts=2).fit(tiny_rows, until=tiny.until)
    logged = registry.log_model("win", model, tracking=place, params={}, metrics={}, tags={})
    registry.promote("win", logged.version, tracking=place)
    return place


@pytest.fixture(scope="module")
def found(tiny, tracking):
    said = []
    effects = measure(
        tiny.view, tiny.company, tracking=tracking, snapshots=tiny.home / "snapshots", as_of=tiny.until,
        progress=lambda text, done: said.append((text, done)),
    )  # fmt: skip
    assert all(0 <= done < 1 for _, done in said)
    return effects


def test_effects_are_kept_beside_the_model_in_use(found, tracking):
    run = registry.champion("win", tracking=tracking).run_id
    kept = effects_of(run, tracking=tracking)
    pd.testing.assert_frame_equal(kept.table, found.table)
    pd.testing.assert_frame_equal(kept.segments, found.segments)


def test_a_newer_model_without_effects_of_its_own_goes_by_those_measured_last(found, tiny_rows, tiny, tracking):
    model = WinModel(horizon_weeks=20, replicates=0, cuts=2).fit(tiny_rows, until=tiny.until)
    before = registry.champion_version("win", tracking=tracking)
    newer = registry.log_model("win", model, tracking=tracking, params={}, metrics={}, tags={})
    registry.promote("win", newer.version, tracking=tracking)
    assert effects_of(newer.run_id, tracking=tracking) is None
    kept = newest_effects(tracking=tracking)
    registry.promote("win", before, tracking=tracking)
    pd.testing.assert_frame_equal(kept.table, found.table)


def test_a_proposal_is_part_of_its_stage(found):
    # The sample company's proposals go out with the move to the stage of that name.
    first = found.table.set_index(["action", "part"]).loc[("proposal", "first")]
    assert first["process_share"] > 0.9
    assert (first["basis"], first["reason"]) == ("none", "process_step")
    assert np.isnan(first["adjusted"])


def test_what_was_done_too_seldom_is_not_known_yet(found):
    table = found.table.set_index(["action", "part"])
    few = table[(table["treated_rows"] < 100) & (table["process_share"] <= 0.9)]
    assert len(few)
    assert set(few["basis"]) == {"none"}
    assert set(few["reason"]) == {"too_few"}
    assert few["adjusted"].isna().all()


def test_no_effect_is_claimed_for_what_the_customer_does_not_notice(found):
    controls = found.table[found.table["control"]]
    assert set(controls["action"]) == {"note", "task"}
    assert "adjusted" not in set(controls["basis"])


def test_a_company_without_closed_deals_is_told_what_is_missing(tiny, tracking):
    early = tiny.view.arrow("deals")["created_at"].to_pandas().min() + pd.Timedelta(days=10)
    with pytest.raises(TooFewClosed, match="need 100 closed deals at least"):
        measure(tiny.view, tiny.company, tracking=tracking, snapshots=None, as_of=early.to_pydatetime())
