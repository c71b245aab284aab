"""A feature of the company's own, from company.yaml to the reasons of a deal; and what holds when it changes."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from features.catalogue import feature
from serving.home import Home
from serving.scores import read_pointer
from serving.scoring import score_all
from training import registry
from training.definitions import OtherDefinitions
from training.fit import train
from training.fit_result import TrainResult
from training.snapshots import open_snapshots

LONG = {
    "block": "deal_activity",
    "name": "long_talks",
    "sql": "count(*) filter (where contact and duration_minutes >= 30)",
    "unit": "count",
    "en": "Talks of half an hour or more",
    "zh": "半小时以上的沟通次数",
    "can_act": True,
}


def write(home: Home, settings: dict[str, object], *features: dict[str, object]) -> None:
    said = settings | ({"features": list(features)} if features else {})
    home.company_file.write_text(yaml.safe_dump(said, allow_unicode=True), encoding="utf-8")


def trained(home: Home) -> TrainResult:
    view = home.lake.view()
    return train(
        "win",
        view=view,
        company=home.company(),
        tracking=home.tracking,
        snapshots=home.snapshots,
        as_of=newest_event(view),
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A home whose win model was trained with an own feature, and the settings of its company."""
    home = Home(tmp_path_factory.mktemp("own"))
    sample = simulate(reps=8, months=10, seed=3)
    memory = lake_view(sample)
    home.lake.merge({name: memory.arrow(name) for name in memory.present}, source="test")
    write(home, sample.settings, LONG)
    trained(home)
    return home, sample.settings


def test_it_stands_in_the_catalogue_and_among_the_columns_that_models_get(own):
    home, _ = own
    view = home.lake.view()
    company, now = home.company(), newest_event(view)
    assert feature("deal", "long_talks", company).can_act
    X = open_snapshots(view, company, as_of=now).set_index("deal_id")["long_talks"]
    # The same by pandas; in this sample every activity is known when it takes place or was written down.
    done = view.arrow("activities").to_pandas()
    known = done["recorded_at"].fillna(done["occurred_at"]) <= now
    talks = done[known & ~done["kind"].isin(["note", "task"]) & (done["duration_minutes"] >= 30)]
    counted = talks.groupby("deal_id").size().reindex(X.index, fill_value=0)
    assert counted.max() > 1
    pd.testing.assert_series_equal(X, counted.astype(float), check_names=False)


def test_it_is_among_the_reasons_of_deals(own):
    home, _ = own
    scored = score_all(home)
    reasons = pd.read_parquet(Path(scored.folder) / "reasons.parquet")
    mine = reasons[reasons["feature"] == "long_talks"]
    assert len(mine)
    assert (mine["entity"] == "deal").all()


def test_another_sentence_leaves_the_model_in_use_another_definition_does_not(own):
    home, settings = own
    write(home, settings, LONG | {"en": "Long talks", "zh": "长谈"})
    assert "deals" in score_all(home).rows
    longer = LONG["sql"].replace("30", "45")
    write(home, settings, LONG | {"sql": longer})
    shown = read_pointer(home.scores)
    with pytest.raises(OtherDefinitions) as refused:
        score_all(home)
    said = str(refused.value)
    version = registry.champion_version("win", tracking=home.tracking)
    assert said.startswith(f"The win model {version} was trained on other definitions of its features than hold now: ")
    assert f"the feature long_talks of a deal is {longer} (number, 0 where empty), was {LONG['sql']} (" in said
    assert "Train it anew: bellwether train win." in said
    assert read_pointer(home.scores) == shown  # the last good scores stay
    again = trained(home)
    assert again.promoted
    assert "other definitions" in again.verdict
    assert "deals" in score_all(home).rows


def test_what_else_changes_the_meaning_of_features_is_named(own):
    home, settings = own
    write(home, settings | {"base_currency": "JPY"})
    with pytest.raises(
        OtherDefinitions, match="base_currency is JPY, was EUR; the feature long_talks of a deal is gone"
    ):
        score_all(home)
