"""Score files: rows of reasons, the pointer, what is kept; a home's rules."""

import json
import os
import time
from datetime import date

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from crm.company import Company
from crm.errors import NotFound
from models.explain import explanation
from serving.access import Sight
from serving.cli import app
from serving.goals import without_goals
from serving.home import Home, HomeBusy, RealHome, SampleHome
from serving.scores import ScoreBook, read_pointer, swap_pointer
from serving.scoring import NothingToScore, PastNeedsFolder, reason_rows, score_all
from tests.builders import a_deal, at, table_of
from tests.serving.small_site import AS_OF, fill, write_scores


def test_reason_rows_hold_numbers_words_and_gaps_and_add_up():
    explained = explanation(
        np.array([[0.1, -0.05, 0.0], [0.2, 0.0, 0.3]]),
        np.array([0.2, 0.2]),
        np.array([[3.0, "Qualify", None], [None, "Propose", 7.0]], dtype=object),
        ["touches", "stage", "amount"],
    )
    rows = reason_rows("deal", pd.Series(["d1", "d2"]), explained)
    # Contributions of exactly 0 are left out: two of the six.
    assert rows[["entity_id", "feature"]].to_numpy().tolist() == [
        ["d1", "touches"],
        ["d1", "stage"],
        ["d2", "touches"],
        ["d2", "amount"],
    ]
    assert rows["text"].tolist() == [None, "Qualify", None, None]
    assert rows["value"].fillna(-1).tolist() == [3.0, -1, -1, 7.0]
    assert rows.groupby("entity_id")["prediction"].first().to_dict() == pytest.approx({"d1": 0.25, "d2": 0.7})


@pytest.mark.parametrize(("rep", "team", "told"), [(5.0, np.nan, False), (np.nan, 9.0, False), (np.nan, np.nan, True)])
def test_that_no_goal_runs_is_told(rep, team, told):
    reps, teams = (pd.DataFrame({"target": [np.nan, target]}) for target in (rep, team))
    why = without_goals(reps, teams, date(2026, 11, 15))
    assert (why is not None and "No goal runs on 2026-11-15 (a target of 0 is none)" in why) is told


def test_the_book_reads_again_when_the_pointer_moves(tmp_path):
    home = Home(tmp_path)
    home.make()
    fill(home)
    write_scores(home)
    book = ScoreBook(home.scores, home.lake)
    first = book.newest(Company())
    assert (first.mark, len(first.frames["deals"])) == ("first", 6)
    assert book.newest(Company()) is first
    second = home.scores / "second"
    second.mkdir()
    meta = {"as_of": AS_OF.isoformat(), "data_cut": 1}
    (second / "meta.json").write_text(json.dumps(meta))
    first.frames["deals"].head(2).to_parquet(second / "deals.parquet", index=False)
    swap_pointer(home.scores, "second")
    assert len(book.seen_by(Sight(), Company()).frames["deals"]) == 2
    assert read_pointer(home.scores) == "second"


def test_without_any_model_the_mend_is_named(tmp_path):
    home = Home(tmp_path)
    home.make()
    home.lake.merge({"deals": table_of("deals", [a_deal()])}, source="test")
    with pytest.raises(NothingToScore, match="bellwether train"):
        score_all(home)
    with pytest.raises(PastNeedsFolder, match="--out"):
        score_all(home, as_of=at("2025-01-01"))


def test_sample_and_real_data_are_not_mixed(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    sample, real = Home(tmp_path / "sample"), Home(tmp_path / "real")
    sample.make_sample({"name": "Sample", "sample": True})
    with pytest.raises(SampleHome, match="--home"):
        sample.prepare_import(files)
    fill(real)
    with pytest.raises(RealHome):
        real.make_sample({"sample": True})
    (files / "company.yaml").write_text("sample: true\nbase_currency: EUR\n")
    with pytest.raises(RealHome):
        real.prepare_import(files)
    new = Home(tmp_path / "new")
    new.prepare_import(files)
    assert (new.company().sample, new.company().base_currency) == (True, "EUR")


def test_a_stage_order_from_a_mapping_is_kept_unless_the_company_has_one(tmp_path):
    home = Home(tmp_path)
    home.make()
    home.keep_stages({"*": ["Prospecting", "Engaging"]})
    home.keep_stages({"*": ["Other"]})
    assert home.company().stages == {"*": ["Prospecting", "Engaging"]}


def test_one_process_at_a_time_builds_a_home(tmp_path):
    home = Home(tmp_path)
    with home.lock(), pytest.raises(HomeBusy), Home(tmp_path).lock():
        pass
    with home.lock():  # free again
        pass


def test_old_runs_go_and_the_newest_stays(tmp_path):
    from serving.scoring import _drop_old_runs

    for number in range(8):
        run = tmp_path / f"run{number}"
        run.mkdir()
        os.utime(run, (time.time() + number, time.time() + number))
    swap_pointer(tmp_path, "run0")
    _drop_old_runs(tmp_path)
    # The five newest, and the one that is shown, however old.
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["run0", "run3", "run4", "run5", "run6", "run7"]


def test_a_deal_that_got_a_plain_rate_is_explained_as_such(tmp_path):
    """A model without signal has no reasons; the deal was scored all the same."""
    home = Home(tmp_path)
    fill(home)
    write_scores(home)
    reasons = home.scores / "first" / "reasons.parquet"
    pd.read_parquet(reasons).query("entity_id != 'd3'").to_parquet(reasons, index=False)
    shown = CliRunner().invoke(app, ["explain", "deal", "d3", "--home", str(tmp_path), "--json"])
    assert json.loads(shown.output) == {"base_value": 0.3, "prediction": 0.3, "contributions": []}
    told = CliRunner().invoke(app, ["explain", "deal", "d3", "--home", str(tmp_path)]).output
    assert "the model in use gives a plain rate" in told
    with pytest.raises(NotFound, match="The newest scores hold no deal 'dx'"):
        CliRunner().invoke(app, ["explain", "deal", "dx", "--home", str(tmp_path)], catch_exceptions=False)
