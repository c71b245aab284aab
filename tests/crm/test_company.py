"""company.yaml: defaults, round trip, and errors that say the key, the value and the mend."""

from datetime import date

import pytest
import yaml

from crm.company import BadSetting, Company, example_yaml


def load(tmp_path, text):
    path = tmp_path / "company.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Company.load(path)


def test_no_file_and_an_empty_file_mean_the_defaults(tmp_path):
    assert Company.load(tmp_path / "none.yaml") == Company() == load(tmp_path, "") == load(tmp_path, "# nothing\n")


def test_settings_come_back_as_they_were_saved(tmp_path):
    company = Company.parse(
        {
            "name": "贝尔",
            "base_currency": "CNY",
            "fiscal": {"start_month": 4},
            "stages": {"*": ["A", "B"]},
            "people": {"level": "off"},
            "features": [{"block": "b", "name": "f", "sql": "count(*)", "unit": "count", "en": "F"}],
        }
    )
    company.save(tmp_path / "company.yaml")
    assert Company.load(tmp_path / "company.yaml") == company
    assert "time_zone" not in (tmp_path / "company.yaml").read_text("utf-8")  # defaults are not written


def test_the_example_with_its_marks_removed_is_the_default(tmp_path):
    text = "\n".join(line.removeprefix("# ") for line in example_yaml().splitlines()[1:])
    assert set(yaml.safe_load(text)) == set(Company.model_fields)
    assert load(tmp_path, text) == Company()
    assert load(tmp_path, example_yaml()) == Company()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base_curency: EUR", "company.yaml line 1: base_curency is not a known key. Did you mean base_currency?"),
        (
            "fiscal: {zzzz: 4}",
            (
                "company.yaml line 1: fiscal.zzzz is not a known key. "
                "Known here: months, named_by, start_month, week_ends_on, year_ends."
            ),
        ),
        (
            "fiscal: {start_moth: 4}",
            "company.yaml line 1: fiscal.start_moth is not a known key. Did you mean start_month?",
        ),
        (
            "fiscal: {start_month: 13}",
            "company.yaml line 1: fiscal.start_month is 13. Input should be less than or equal to 12.",
        ),
        (
            "time_zone: Mars/Olympus",
            (
                "company.yaml line 1: time_zone is 'Mars/Olympus', which is no time zone; give one such as "
                "Asia/Shanghai. The default holds when the line is removed."
            ),
        ),
        (
            "features: [{block: b, nam: x}]",
            "company.yaml line 1: features.0.nam is not a known key. Did you mean name?",
        ),
        (
            "features: [{block: b, name: x, sql: s, en: E}]",
            "company.yaml line 1: features.0.unit is missing. Give it: Unit of its values.",
        ),
        (
            "name: Bell\n\nfeatures:\n  - {block: b, name: f, sql: max(x), unit: d, en: F}\n  - block: b\n    nam: g\n",
            "company.yaml line 6: features.1.nam is not a known key. Did you mean name?",
        ),
        ("- a\n- b", "company.yaml: the file is no list of keys. Write lines such as 'base_currency: EUR'."),
    ],
)
def test_an_error_says_where_what_and_the_mend(tmp_path, text, message):
    with pytest.raises(BadSetting) as error:
        load(tmp_path, text)
    assert str(error.value) == message


@pytest.mark.parametrize(("text", "says"), [("a: [", "is no YAML"), (b"name: \xff", "is not UTF-8 at byte 6")])
def test_a_file_that_cannot_be_read_is_told(tmp_path, text, says):
    with pytest.raises(BadSetting, match=says):
        load(tmp_path, text)


def test_a_bare_off_is_the_word_off(tmp_path):
    assert load(tmp_path, "people: {level: off}").people.level == "off"
    with pytest.raises(BadSetting, match=r"people\.level is True"):
        load(tmp_path, "people: {level: on}")


def test_periods_follow_the_fiscal_year_of_the_company():
    company = Company.parse({"fiscal": {"start_month": 4, "named_by": "start"}, "time_zone": "Asia/Shanghai"})
    assert company.period_of(date(2026, 3, 31)).name == "FY2025-Q4"
    assert company.zone.key == "Asia/Shanghai"


def test_an_own_feature_knows_its_line_which_is_no_part_of_what_it_says(tmp_path):
    one = "{block: b, name: f, sql: count(*), unit: count, en: F}"
    below = load(tmp_path, f"# Ours\nname: Bell\nfeatures:\n  # The first\n  - {one}\n")
    assert below.features[0].place == "company.yaml line 5: feature f"
    above = load(tmp_path, f"features: [{one}]\nname: Bell\n")
    assert above.features[0].place == "company.yaml line 1: feature f"
    assert above == below
    assert Company.parse(above.model_dump()).features[0].place == "company.yaml: feature f"
