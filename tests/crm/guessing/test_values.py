"""How values of a column are told to be dates, numbers or known words."""

import pytest

from crm.guessing.values import Dates, Numbers, dates, meanings, numbers


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["2026-01-31", "2026/2/1", "2026-02-01T10:00:00Z"], Dates((), False)),
        (["31/01/2026", "02/03/2026"], Dates(("%d/%m/%Y",), False)),
        (["01/31/2026 10:05", "02/03/2026"], Dates(("%m/%d/%Y", "%m/%d/%Y %H:%M"), False)),
        (["02/03/2026", "05/06/2026"], Dates(("%d/%m/%Y",), True)),  # February 3rd or March 2nd
        (["31.01.2026"], Dates(("%d.%m.%Y",), False)),
        (["31-01-26"], Dates(("%d-%m-%y",), False)),
        (["2026年1月31日"], Dates(("%Y年%m月%d日",), False)),
        (["1/31/2026, 9:05 PM"], Dates(("%m/%d/%Y, %I:%M %p",), False)),
        (["31/01/2026", "soon"], None),
        (["12", "13"], None),
        ([], None),
    ],
)
def test_dates(values, found):
    assert dates(values) == found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", "-2.5"], Numbers(".", None)),
        (["1,234.50", "7"], Numbers(".", ",")),
        (["1.234,50", "7"], Numbers(",", ".")),
        (["12,5"], Numbers(",", None)),
        (["1,234"], Numbers(".", ",")),  # could be a decimal comma; groups of three are taken as such
        (["¥12"], None),
        (["1.2.3"], None),
        ([], None),
    ],
)
def test_numbers(values, found):
    assert numbers(values) == found


def test_words_are_known_in_several_languages_and_whatever_their_marks():
    said = meanings("deals", "outcome", ["Closed Won", "closed-lost", "赢单", "输单", "Proposal"])
    assert said == {"Closed Won": "won", "closed-lost": "lost", "赢单": "won", "输单": "lost"}
