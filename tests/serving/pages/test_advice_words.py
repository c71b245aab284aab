"""What would change the advice: the fact that takes a step off the list, and what comes first in its place."""

import json

import pytest

from crm.company import Company
from models.actions import CATALOGUE
from serving.i18n import language
from serving.pages.advice_words import gone, would_change

EN, ZH = language("en"), language("zh")
OWN = {"name": "bench", "en": "B", "kind": "demo", "when": "demos > 0", "cooling_off_days": 9}


def said(place, *steps, say=EN):
    rows = [{"action": name, "ends": json.dumps(ends)} for name, ends in steps]
    return would_change(say, rows, place, company=Company(), called=str.upper)


def test_the_fact_is_a_recorded_one():
    assert said(0, ("call", []))[0] == "It leaves the list with a contact with the customer within the last 5 days."
    assert said(0, ("involve_decision_maker", []), say=ZH)[0] == "已见过决策人（副总裁或高管）时，不再列出。"


@pytest.mark.parametrize("action", CATALOGUE, ids=lambda a: a.name)
def test_each_step_has_one_in_both_languages(action):
    english, chinese = (gone(say, action.name, Company()) for say in (EN, ZH))
    assert english.isascii()
    assert english
    assert not chinese.isascii()


def test_a_step_of_the_companys_own_goes_once_done_or_outside_its_condition():
    own = Company.model_validate({"advice": {"actions": [OWN]}})
    assert gone(EN, "bench", own) == (
        "this step done within the last 9 days or its condition (demos > 0) no longer met"
    )
    assert gone(EN, "unheard_of", own) == ""


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("call", [])], "Done or turned down, it leaves nothing else to suggest for now."),
        ([("call", []), ("demo", [])], "Done or turned down, it is followed by: DEMO."),
        ([("call", ["email"]), ("email", [])], "Turned down, it is followed by: EMAIL. Done, it takes that along."),
        (
            [("call", ["email"]), ("email", []), ("demo", [])],
            "Turned down, it is followed by: EMAIL. Done, by: DEMO.",
        ),
    ],
)
def test_what_follows_the_first_step_is_what_still_fits(steps, expected):
    assert said(0, *steps)[1] == expected


def test_a_later_step_comes_first_or_goes_with_the_first():
    steps = [("call", ["email"]), ("email", []), ("demo", [])]
    assert said(1, *steps)[1] == "It goes too once this is done: CALL."
    assert said(2, *steps)[1] == "It comes first once what stands above it is done or turned down."


def test_scores_that_do_not_say_what_a_step_ends_are_read_as_ending_nothing():
    rows = [{"action": "call"}, {"action": "email"}]
    found = would_change(EN, rows, 0, company=Company(), called=str)
    assert found[1] == "Done or turned down, it is followed by: email."
