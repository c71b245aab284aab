"""Lists of the API: pages by key, filters, files, and answers that a client has already."""

import csv
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from crm.company import Company
from serving.deal_list import DealWish, matching
from serving.exports import as_csv, as_xlsx, cell, format_of
from serving.lists import BadCursor, Order, Paging
from tests.builders import at

DAY = at("2026-02-15").date()
ROWS = pd.DataFrame(
    {
        "deal_id": ["a", "b", "c", "d", "e", "f"],
        "amount": [5.0, np.nan, 5.0, 1.0, np.nan, 5.0],
        "close_date": pd.to_datetime(["2026-02-14", None, "2026-02-15", "2026-03-31", "2026-04-01", "2026-12-31"]),
    }
)


def walk(rows, wish, limit=2):
    """Keys of each page in turn."""
    cursor, pages = None, []
    while True:
        page, cursor = Order(wish, "deal_id").page(rows, Paging(limit=limit, cursor=cursor))
        pages.append("".join(page["deal_id"]))
        if cursor is None:
            return pages


def test_pages_cut_ties_and_missing_values_without_loss():
    # 5, 5, 5, 1, then the two unknown; within equal values by key, whichever way the values go.
    assert walk(ROWS, "-amount") == ["ac", "fd", "be"]
    assert walk(ROWS, "amount") == ["da", "cf", "be"]
    assert walk(ROWS, "-close_date", limit=4) == ["fedc", "ab"]
    assert walk(ROWS, "-deal_id", limit=5) == ["fedcb", "a"]
    assert walk(ROWS.head(0), "amount") == [""]


@pytest.mark.parametrize("wish", ["-amount", "amount", "close_date"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_all_pages_together_are_the_sorted_list(wish, limit):
    assert "".join(walk(ROWS, wish, limit)) == "".join(Order(wish, "deal_id").sorted(ROWS)["deal_id"])


def test_a_row_that_goes_between_two_pages_shifts_nothing():
    order = Order("-amount", "deal_id")
    _, cursor = order.page(ROWS, Paging(limit=2))  # a and c
    page, _ = order.page(ROWS[ROWS["deal_id"] != "c"], Paging(limit=2, cursor=cursor))
    assert page["deal_id"].tolist() == ["f", "d"]


@pytest.mark.parametrize("cursor", ["nowhere", "", "W10", "WyItYW1vdW50IiwgInRleHQiLCAiYSJd", "é"])
def test_a_cursor_of_something_else_is_refused(cursor):
    # The last but one is ["-amount", "text", "a"]: an amount that is text.
    with pytest.raises(BadCursor, match="Start again"):
        Order("-amount", "deal_id").page(ROWS, Paging(cursor=cursor))


def test_a_cursor_of_another_order_is_refused():
    _, cursor = Order("amount", "deal_id").page(ROWS, Paging(limit=1))
    with pytest.raises(BadCursor):
        Order("-amount", "deal_id").page(ROWS, Paging(cursor=cursor))


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({"min_amount": 5}, "acf"),
        ({"max_amount": 4.99}, "d"),
        ({"closing": "overdue"}, "a"),
        ({"closing": "this_month"}, "ac"),
        ({"closing": "this_quarter"}, "acd"),  # to 31 March
        ({"closing": "next_quarter"}, "e"),
        ({"closing": "this_year"}, "acdef"),
        ({"closing_from": "2026-02-15", "closing_to": "2026-04-01"}, "cde"),
        ({"closing": "this_quarter", "closing_from": "2026-03-01"}, "d"),
        ({"owner": ["r1"]}, "ab"),
        ({"kind": ["new", "renewal"], "stage": ["Propose"]}, "bd"),
    ],
)
def test_filters_leave_what_they_say(wish, found):
    rows = ROWS.assign(
        owner_id=["r1", "r1", "r2", "r2", None, "r3"],
        stage=["Qualify", "Propose"] * 3,
        kind=["new", "new", "new", "renewal", "new", "other"],
        win_probability=0.5,
    )
    left = matching(rows, DealWish(**wish), company=Company(), today=DAY, members=None)
    assert "".join(left["deal_id"]) == found


def test_a_team_is_its_reps_and_those_of_teams_below(site):
    with site.client("admin@example.com") as client:
        found = {t: client.get("/deals", params={"team": t}).json()["total"] for t in ("all", "west", "east", "none")}
    assert found == {"all": 6, "west": 3, "east": 3, "none": 0}  # west: r1 with d1, d2 and r2 with d3


def test_a_team_that_one_may_not_see_is_like_none(site):
    with site.client("m1@example.com") as client:  # leads west
        assert client.get("/deals", params={"team": "west"}).json()["total"] == 3
        assert client.get("/deals", params={"team": "east"}).json()["total"] == 0
        assert client.get("/deals", params={"owner": "r4"}).json()["total"] == 0


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert cell(text) == f"'{text}"
    (row,) = list(csv.reader(io.StringIO(as_csv(["a"], [[cell(text)]]).decode("utf-8-sig"), newline="")))[1:]
    assert row == [f"'{text}"]
    book = openpyxl.load_workbook(io.BytesIO(as_xlsx(["a"], [[cell(text)]])))
    assert book["data"]["A2"].data_type == "s"  # text, no formula


def test_numbers_days_and_moments_stay_what_they_are():
    given = [cell(v) for v in (-1.5, 3, True, None, DAY, at("2026-02-15T08:00:00+08:00"), "a\x00b")]
    book = openpyxl.load_workbook(io.BytesIO(as_xlsx(list("abcdefg"), [given])))
    values = [c.value for c in book["data"][2]]
    assert values[:4] == [-1.5, 3, True, None]
    assert (values[4].date(), values[5].isoformat(), values[6]) == (DAY, "2026-02-15T00:00:00", "ab")
    text = as_csv(list("abcdefg"), [given]).decode("utf-8-sig").splitlines()[1]
    assert text == "-1.5,3,True,,2026-02-15,2026-02-15T00:00:00Z,ab"


def test_the_address_says_the_form_before_the_accept_header():
    assert format_of("csv", "application/json") == "csv"
    assert format_of(None, "text/html, text/csv;q=0.9") == "csv"
    assert format_of(None, "*/*") == "json"


def test_files_hold_all_rows_that_the_filters_leave(site):
    with site.client("admin@example.com") as client:
        answer = client.get("/deals", params={"format": "csv", "limit": 2, "owner": ["r1", "r4"]})
        sheet = client.get(
            "/accounts", headers={"accept": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
        )
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [(r["deal_id"], float(r["expected_amount"])) for r in rows] == [
        ("d6", 600),
        ("d5", 500),
        ("d2", 200),
        ("d1", 100),
    ]
    assert rows[0]["main_reason"] == "touches_30d"  # 0.6 - 0.25 there, 0.05 by the stage
    assert 'filename="deals.csv"' in answer.headers["content-disposition"]
    values = list(openpyxl.load_workbook(io.BytesIO(sheet.content))["data"].values)
    assert values[0][:2] == ("account_id", "name")
    assert values[1][:2] == ("a6", "Account a6")
    assert len(values) == 7


def test_a_file_has_no_row_that_its_reader_may_not_see(site):
    with site.client("r1@example.com") as client:
        text = client.get("/deals", params={"format": "csv"}).text
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["d2", "d1"]


def test_what_the_client_has_already_is_not_sent_again(site):
    with site.client("admin@example.com") as client:
        first = client.get("/deals")
        tag = first.headers["etag"]
        again = client.get("/deals", headers={"if-none-match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        for other in (client.get("/deals?limit=2"), client.get("/deals", headers={"accept": "text/csv"})):
            assert other.headers["etag"] != tag
        assert client.get("/deals", headers={"accept": "text/csv"}).headers["vary"].startswith("Accept")
    with site.client("m1@example.com") as client:  # who sees less
        answer = client.get("/deals", headers={"if-none-match": tag})
        assert (answer.status_code, answer.headers["etag"] == tag) == (200, False)
    with site.client() as client:
        assert client.get("/deals", headers={"if-none-match": tag}).status_code == 401


def test_long_answers_are_compressed(site):
    with site.client("admin@example.com") as client:
        assert client.get("/deals").headers["content-encoding"] == "gzip"
