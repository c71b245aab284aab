"""Another definition gives another hash and is named; another sentence does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from crm.company import Company
from features import catalogue, definitions, sources
from features.definitions import definition_hash, what_changed

LONG_CALLS = {
    "block": "deal_activity",
    "name": "long_calls",
    "sql": "count(*) filter (where kind = 'call' and duration_minutes >= 30)",
    "unit": "count",
    "en": "Long calls",
}


def of(entity="deal", **settings):
    return definitions.definitions([entity], Company.parse(settings))


def test_sentences_are_no_part_of_a_definition():
    said_else = LONG_CALLS | {"en": "Calls of half an hour or more", "zh": "长时间通话"}
    assert definition_hash(of(features=[LONG_CALLS])) == definition_hash(of(features=[said_else]))
    assert what_changed(of(features=[LONG_CALLS]), of(features=[said_else])) == []


def test_a_sentence_in_the_catalogue_can_be_mended_without_training_anew(monkeypatch):
    before = of("account")
    mended = [
        replace(block, features=tuple(replace(one, en="Another", zh="另一个") for one in block.features))
        for block in catalogue.standard_blocks()
    ]
    monkeypatch.setattr(catalogue, "standard_blocks", lambda: tuple(mended))
    assert catalogue.feature("account", "orders_90d").en == "Another"
    assert definition_hash(of("account")) == definition_hash(before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_currency": "EUR"}, "base_currency is EUR, was USD"),
        ({"time_zone": "Asia/Shanghai"}, "time_zone is Asia/Shanghai, was UTC"),
        ({"fiscal": {"start_month": 4}}, "fiscal.start_month is 4, was 1"),
        ({"stages": {"*": ["New"]}}, 'stages is {"*": ["New"]}, was {}'),
        ({"features": [LONG_CALLS]}, "the feature long_calls of a deal is new"),
    ],
)
def test_what_changes_values_changes_the_hash_and_is_named(settings, said):
    assert what_changed(of(), of(**settings)) == [said]
    assert definition_hash(of()) != definition_hash(of(**settings))


def test_another_sql_is_named_with_both():
    shorter = LONG_CALLS | {"sql": "count(*) filter (where duration_minutes >= 20)"}
    [said] = what_changed(of(features=[LONG_CALLS]), of(features=[shorter]))
    assert said.startswith("the feature long_calls of a deal is count(*) filter (where duration_minutes >= 20) (number")
    assert said.endswith("was count(*) filter (where kind = 'call' and duration_minutes >= 30) (number, 0 where empty)")
    assert what_changed(of(features=[LONG_CALLS]), of()) == ["the feature long_calls of a deal is gone"]


def test_a_source_and_its_gate_count_where_they_are_read(monkeypatch):
    before = of("account"), of("rep")
    other = dict(sources.SOURCES) | {"requests": sources.SOURCES["requests"].replace("'severe', ", "")}
    monkeypatch.setattr(definitions, "SOURCES", other)
    assert what_changed(before[0], of("account")) == ["the source requests is another"]
    assert of("rep") == before[1]  # reps read no tickets
    assert before[0]["the block account_orders"] == "purchases by account_id = account_id from known_at on"
    assert before[1]["the block rep_activity"].endswith("from known_at on, no older than 365 days")


def test_comments_and_layout_of_the_engine_do_not_count(monkeypatch, tmp_path):
    for file in Path(definitions.__file__).parent.glob("*.py"):
        text = file.read_text(encoding="utf-8").replace('"""', '"""Else. ', 1)
        (tmp_path / file.name).write_text(f"# A comment\n{text}\n\n", encoding="utf-8")
    before = of()
    monkeypatch.setattr(definitions, "__file__", str(tmp_path / "definitions.py"))
    definitions._works.cache_clear()
    assert of() == before
    engine = tmp_path / "engine.py"
    engine.write_text(engine.read_text(encoding="utf-8") + "_MORE = 1\n", encoding="utf-8")
    definitions._works.cache_clear()
    assert what_changed(before, of()) == ["how Bellwether works features out is another"]
    monkeypatch.undo()
    definitions._works.cache_clear()
