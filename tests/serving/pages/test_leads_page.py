"""The leads: expected value is the chance times what converted ones brought; due dates; customers without a deal."""

import re

import pandas as pd
import pytest

from crm.lake import connect
from tests.serving.pages.conftest import write_scores
from tests.serving.pages.test_pages import text_of


def test_a_missing_file_of_leads_says_what_to_do(site):
    with site.client() as client:
        assert "No forecast yet" in client.get("/leads").text


@pytest.fixture(scope="module")
def scored(site):
    """The site's scores with its open leads at 25 %."""
    folder = site.home.scores / "run1"
    frames = {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}
    with connect() as con:
        site.home.lake.view().attach(con)
        leads = con.sql("select deal_id from deals where outcome = 'open' and kind = 'lead' order by 1").df()["deal_id"]
    deals = frames["deals"].head(1)
    rows = pd.concat([deals] * len(leads), ignore_index=True)
    frames["leads"] = rows.assign(deal_id=leads, win_probability=0.25, expected_amount=float("nan"))
    write_scores(site.home, frames, site.as_of, name="with-leads")
    yield len(leads)
    from serving.scores import swap_pointer

    swap_pointer(site.home.scores, "run1")


def test_value_is_chance_times_worth_and_the_best_come_first(site, scored):
    with site.client() as client:
        shown = client.get("/leads").text
    assert f"{scored} open lead" in text_of(shown)
    rows = re.findall(r'<td class="num fold">€([\d,]+)</td>\s*<td class="num">€([\d,]+)</td>', shown)
    pairs = [(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in rows]
    assert len(pairs) == min(scored, 50)
    assert all(abs(value - 0.25 * worth) <= 1 for worth, value in pairs)
    assert [v for _, v in pairs] == sorted((v for _, v in pairs), reverse=True)


def test_customers_without_a_deal_come_with_the_base_rate_or_with_why_not(site, scored):
    with site.client() as client:
        text = text_of(client.get("/leads").text)
    assert re.search(r"base rate (of|is) \d+% \(|base rate of \d+%", text)
