"""Models whose files are damaged: scoring and the doctor say which file, and the mend."""

import pytest

from models.win import WinModel
from serving.doctor import examine
from serving.home import Home
from serving.scoring import NothingToScore, score_all
from tests.builders import a_deal, table_of
from tests.models.snapshot_company import END, snapshots
from training import registry


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A home whose only model has lost its files."""
    home = Home(tmp_path_factory.mktemp("damaged"))
    home.make()
    home.lake.merge({"deals": table_of("deals", [a_deal()])}, source="test")
    model = WinModel(replicates=2).fit(snapshots(150, seed=3), until=END)
    made = registry.log_model("win", model, tracking=home.tracking, params={}, metrics={}, tags={})
    registry.promote("win", made.version, tracking=home.tracking)
    for file in (home.root / "artifacts").rglob("manifest.json"):
        file.write_text("{}")
    return home


def test_scoring_with_damaged_models_says_what_is_damaged(damaged):
    with pytest.raises(NothingToScore, match=r"manifest|model file .* cannot be used") as caught:
        score_all(damaged)
    assert "bellwether train win" in str(caught.value)


def test_the_doctor_does_not_call_a_damaged_model_well(damaged):
    (found,) = [f for f in examine(damaged) if f.check == "models"]
    assert found.state == "bad"
    assert "bellwether train win" in found.text
