"""A mapping is checked as it is read: each error names the line and the key, and says the mend."""

import pytest

from crm.mapping import BadMapping, load, parse, shipped

GOOD = """\
name: Trial
format:
  dates: ["%d/%m/%Y"]
tables:
  - table: deals
    file: sales.csv
    columns:
      deal_id: id
      stage: {from: step, values: {a: Open}}
      created_at: made
      outcome: {constant: open}
"""


def problem(text: str) -> str:
    with pytest.raises(BadMapping) as caught:
        parse(text, "trial.yaml")
    return str(caught.value)


def test_a_plain_word_is_short_for_from():
    columns = parse(GOOD).tables[0].columns
    assert columns["deal_id"].sources == ["id"]
    assert columns["stage"].sources == ["step"]
    assert columns["outcome"].sources == []


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("    file:", "    fil:", 6, "Did you mean file?"),
        ("values:", "value:", 9, "Did you mean values?"),
        ("created_at: made", "created_at: made\n      amont: x", 11, "Did you mean amount?"),
        ("table: deals", "table: deal", 5, "the nearest is deals"),
        ('dates: ["%d/%m/%Y"]', "time_zone: Asia/Shangai", 2, "give one such as Asia/Shanghai"),
        ('dates: ["%d/%m/%Y"]', 'decimal: ","\n  thousands: ","', 2, "give two"),
        ('dates: ["%d/%m/%Y"]', "decimal: ;", 3, "decimal"),
        ("{constant: open}", "{}", 11, "needs either 'from' or 'constant'"),
        ("{constant: open}", "{constant: open, from: x}", 11, "needs either 'from' or 'constant'"),
        ("      deal_id: id\n", "      deal_id: id\n      deal_id: key\n", 9, "stands twice"),
        ("name: Trial", "name: a: b", 1, "is no YAML"),
    ],
)
def test_an_error_names_line_and_mend(old, new, line, said):
    message = problem(GOOD.replace(old, new, 1))
    assert message.startswith(f"trial.yaml, line {line}"), message
    assert said in message


def test_a_required_column_that_nothing_fills_is_named():
    message = problem(GOOD.replace("      created_at: made\n", ""))
    assert message.startswith("trial.yaml, line 5, tables.0: deals needs created_at")


@pytest.mark.parametrize("text", ["", "- a", "word"])
def test_what_is_no_list_of_keys_is_refused(text):
    assert "is no list of keys" in problem(text)


def test_a_missing_file_names_the_shipped_ones(tmp_path):
    with pytest.raises(BadMapping, match=r"shipped: bpi2012, maven, uci_online_retail"):
        load(tmp_path / "none.yaml")


def test_the_shipped_mappings_can_be_read():
    tables = {name: {t.table for t in load(name).tables} for name in shipped()}
    assert tables == {
        "bpi2012": {"deals", "deal_changes", "activities", "reps"},
        "maven": {"products", "accounts", "teams", "reps", "deals"},
        "uci_online_retail": {"accounts", "orders"},
    }


def test_plain_words_of_a_mapping_stay_words():
    """A column named No, and values yes, 1 or 007, are what they look like; null alone is no value."""
    text = """
tables:
  - table: deals
    file: a.csv
    columns:
      deal_id: No
      stage: {from: Step, values: {007: Bond, 1: First, y: null}}
      created_at: Made
      outcome: {from: Won, values: {yes: won, no: lost, true: won, "": open}}
"""
    columns = parse(text).tables[0].columns
    assert columns["deal_id"].source == "No"
    assert columns["stage"].values == {"007": "Bond", "1": "First", "y": None}
    assert columns["outcome"].values == {"yes": "won", "no": "lost", "true": "won", "": "open"}
