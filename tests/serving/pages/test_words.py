"""Codes of the data in the reader's words."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from crm.company import Company, OwnFeature
from crm.schema import ACTIVITY_KINDS, KINDS, LOGGED_FIELDS
from features.catalogue import features
from serving.format import Formats
from serving.i18n import LANGUAGES, language
from serving.pages import words

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EN, ZH = (Formats(language(code), "USD", ZoneInfo("UTC"), NOW) for code in ("en", "zh"))
OWN = OwnFeature(block="deal_activity", name="x_own", sql="count(*)", unit="count", en="Own thing", zh="自有")
COMPANY = Company(features=[OWN])


@pytest.mark.parametrize(
    ("name", "value", "text", "english", "chinese"),
    [
        ("days_open", 35.0, None, "Age of the deal: 35 days", "商机已存在天数：35"),
        ("days_silent", 3.0, None, "Days since the last contact: 3", "距上次互动的天数：3"),
        ("amount", 388_506.0, None, "Amount: $389K", "金额：US$38.9万"),
        ("owner_win_rate", 0.53, None, None, None),
        ("referred", 1.0, None, "Referred by another customer: yes", "由其他客户推荐：是"),
        ("stage", None, "Proposal", "Stage: Proposal", "阶段：Proposal"),
        ("kind", None, "renewal", "Sort of deal: Renewal", "商机类型：续约"),
        ("reply_ratio", 0.5, None, "Contacts from the customer for each of ours: 0.5×", None),
        ("touches_30d", float("nan"), None, "Contacts with the customer in the last 30 days: not known", None),
        ("product_id", None, "p1", "Product: Core", "产品：Core"),
        ("x_own", 2.0, None, "Own thing: 2", "自有：2"),
        ("gone_feature", 2.0, None, "gone feature: 2", "gone feature：2"),
    ],
)
def test_a_reason_is_a_sentence_with_its_value(name, value, text, english, chinese):
    for f, expected in ((EN, english), (ZH, chinese)):
        said, _ = words.namer(f, "deal", COMPANY, {"p1": "Core"})(name, value, text)
        if expected is not None:
            assert said == expected
    if name == "owner_win_rate":
        assert words.namer(EN, "deal", COMPANY, {})(name, value, text)[0].endswith(": 53%")


def test_what_can_be_changed_is_what_the_catalogue_says():
    for known in features("deal"):
        assert words.reason(EN, "deal", COMPANY, known.name, 1.0, None)[1] == known.can_act


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_code_of_the_tables_has_words(code):
    spoken = language(code)
    for kind in ACTIVITY_KINDS:
        assert words.event(spoken, kind, None) != kind
    for kind in KINDS:
        assert words.kind(spoken, kind) != kind
    for name in LOGGED_FIELDS:
        assert words.field(spoken, name) != name


def test_the_main_reason_names_its_direction_and_nobody():
    rows = pd.DataFrame(
        [
            ("d1", "who_works_on_it", None, None, 0.3),
            ("d1", "stage", None, "Proposal", -0.2),
            ("d2", "touches_7d", 4.0, None, 0.1),
            ("d3", "who_works_on_it", None, None, 0.3),
            ("d3", "other_reasons", None, None, 0.4),
        ],
        columns=["entity_id", "feature", "value", "text", "contribution"],
    )
    said = words.main_reasons(rows, words.namer(EN, "deal", COMPANY, {}))
    assert said == {"d1": "↓ Stage: Proposal", "d2": "↑ Contacts with the customer in the last 7 days: 4"}


def test_a_theme_is_told_without_a_value():
    name = words.namer(EN, "deal", COMPANY, {})
    assert name("who_works_on_it", None, None) == ("Who works on it", False)


@pytest.mark.parametrize(
    ("stored", "english", "chinese"),
    [
        (json.dumps([{"en": "A", "zh": "甲"}, {"en": "B"}]), ["A", "B"], ["甲", "B"]),
        (json.dumps({"en": ["A"], "zh": ["甲"]}), ["A"], ["甲"]),
        (json.dumps({"en": "A", "zh": "甲"}), ["A"], ["甲"]),
        ("no JSON", ["no JSON"], ["no JSON"]),
        ("", [], []),
        (None, [], []),
    ],
)
def test_sentences_carried_by_data_are_read_in_the_visitors_language(stored, english, chinese):
    assert words.both(language("en"), stored) == english
    assert words.both(language("zh"), stored) == chinese
