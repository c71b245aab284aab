"""The catalogue is whole: names, words, units, the page that shows it, definitions Spark can read."""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import ErrorLevel

from crm.company import Company
from features.catalogue import ENTITIES, BadFeature, UnknownFeature, blocks, feature, features, standard_blocks
from features.reference import as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
ALL = [one for block in standard_blocks() for one in block.features]


def test_the_page_of_features_is_the_catalogue():
    """To write it anew: python -c 'from features.reference import as_markdown as f; print(f(), end="")'."""
    assert PAGE.read_text(encoding="utf-8") == as_markdown()


def test_a_name_stands_once_for_each_entity():
    for entity in ENTITIES:
        names = [one.name for block in blocks(entity) for one in block.features]
        assert len(names) == len(set(names))


def test_every_feature_says_what_it_is_in_both_languages():
    for one in ALL:
        assert one.en[0].isupper(), one
        assert not one.en.endswith("."), one
        assert any("一" <= letter <= "鿿" for letter in one.zh), one
        assert bool(one.unit) == (one.kind == "number"), one


def test_every_definition_can_be_said_to_spark():
    for one in ALL:
        plain = one.sql.replace("days(", "86400 * (")
        said = sqlglot.transpile(f"select {plain}", read="duckdb", write="spark", unsupported_level=ErrorLevel.RAISE)
        assert len(said) == 1, one


def test_a_feature_is_found_by_name_and_a_custom_one_by_its_own():
    assert feature("deal", "touches_30d").can_act
    assert feature("deal", "x_need_score").en == "Need score"
    assert "company_win_rate" not in {one.name for one in features("deal")}
    with pytest.raises(UnknownFeature, match="no feature touches_30 of a deal"):
        feature("deal", "touches_30")


@pytest.mark.parametrize(
    ("block", "name", "said"),
    [
        ("deal_activty", "mine", "feature mine names no block: 'deal_activty'. Did you mean deal_activity?"),
        ("deal_activity", "demos", "company.yaml: feature demos: there is one of that name already"),
    ],
)
def test_an_own_feature_that_does_not_fit_is_refused(block, name, said):
    own = {"block": block, "name": name, "sql": "count(*)", "unit": "count", "en": "Mine"}
    with pytest.raises(BadFeature, match=said):
        blocks("deal", Company.parse({"features": [own]}))


def test_only_some_features_bring_what_goes_into_them():
    """A rate is made of counts in other blocks; blocks that it does not need are left out."""
    chosen = blocks("deal", only=["owner_win_rate"])
    assert {block.name for block in chosen} == {"deal_context", "owner_record", "company_record"}
    assert {f.name for block in chosen for f in block.features} == {
        "owner_win_rate",
        "owner_wins",
        "owner_closed",
        "company_win_rate",
    }


def test_only_what_is_no_feature_is_refused():
    with pytest.raises(UnknownFeature, match="no feature speed of a deal"):
        blocks("deal", only=["speed"])
