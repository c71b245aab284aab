"""One value of company.yaml is changed in place: what else stands there stays to the letter."""

import pytest

from crm.company import BadSetting
from crm.company_edit import with_value

TEXT = """# Ours
name: Old  # shown on pages
people: {level: person}
plan:
  # A comment inside.
  workweek: [1, 2, 3, 4, 5]
  holidays:
    - 2026-01-01
    - 2026-05-01
base_currency: EUR
"""


@pytest.mark.parametrize(
    ("key", "value", "was", "becomes"),
    [
        ("name", "New: & Co", "name: Old  #", 'name: "New: & Co"  #'),
        ("people.level", "off", "{level: person}", '{level: "off"}'),
        ("people.min_group", 7, "{level: person}", "{min_group: 7, level: person}"),
        ("plan.workweek", [1, 2], "[1, 2, 3, 4, 5]", "[1, 2]"),
        (
            "plan.holidays",
            ["2026-12-25"],
            "holidays:\n    - 2026-01-01\n    - 2026-05-01\n",
            'holidays:\n    ["2026-12-25"]\n',
        ),
        ("advice.hold_back", 0.2, "base_currency: EUR\n", "base_currency: EUR\nadvice:\n  hold_back: 0.2\n"),
        ("time_zone", "Asia/Shanghai", "name: Old", 'time_zone: "Asia/Shanghai"\nname: Old'),
    ],
)
def test_only_the_value_changes(key, value, was, becomes):
    assert was in TEXT
    assert with_value(TEXT, key, value) == TEXT.replace(was, becomes, 1)


def test_an_empty_file_and_a_section_of_comments_take_a_value():
    assert with_value("", "name", "A") == 'name: "A"\n'
    assert with_value("", "advice.hold_back", 0) == "advice:\n  hold_back: 0\n"
    assert with_value("advice:\n  # hold_back: 0.1\n", "advice.hold_back", 0) == (
        "advice:\n  hold_back: 0\n  # hold_back: 0.1\n"
    )


@pytest.mark.parametrize(
    ("key", "value"), [("advice.hold_back", 3), ("time_zone", "Mars/Olympus"), ("nmae", "x"), ("name.first", "x")]
)
def test_what_would_not_be_valid_is_refused(key, value):
    with pytest.raises(BadSetting):
        with_value(TEXT, key, value)


def test_a_value_that_another_key_shares_is_not_changed_in_place():
    shared = "plan:\n  holidays: &days [2026-01-01]\n  extra_workdays: *days\n"
    with pytest.raises(BadSetting, match="by hand"):
        with_value(shared, "plan.holidays", [])
