"""Board, filters and saved views of the deals; what if and similar deals of one."""

import re

import pandas as pd

from crm.lake import connect
from serving.pages.wishes import Wish


def test_an_address_keeps_every_wish_and_drops_what_is_no_wish():
    asked = {"stage": "Proposal", "least": "1,000", "odds": "x", "look": "board", "sort": "-amount", "view": "moon"}
    wish = Wish.of(asked)
    assert (wish.least, wish.odds, wish.view) == ("1,000", "", "")
    assert wish.query() == "stage=Proposal&least=1%2C000&look=board&sort=-amount"
    assert (
        Wish.of(dict(pair.split("=") for pair in "stage=Proposal&sort=-expected".split("&"))).query()
        == "stage=Proposal"
    )


def test_the_boards_columns_hold_all_open_deals(site):
    deals = pd.read_parquet(site.home.scores / "run1" / "deals.parquet")
    with site.client() as client:
        shown = client.get("/deals?look=board").text
    sizes = [int(n.replace(",", "")) for n in re.findall(r'<h2>[^<]+ <span class="quiet">([\d,]+)</span>', shown)]
    assert sum(sizes) == len(deals)
    columns = re.findall(r'<section aria-label="([^"]+)">\s*<h2>', shown)
    order = [s for stages in site.home.company().stages.values() for s in stages]
    assert columns == [stage for stage in order if stage in columns]


def test_a_filter_shows_as_a_chip_that_takes_it_away(site):
    with site.client() as client:
        shown = client.get("/deals?odds=90&sort=-amount").text
        assert "No deal matches." in shown  # all are at 40 %
        assert 'href="/deals?sort=-amount" aria-label="Remove the filter' in shown
        assert "No deal matches." not in client.get("/deals?odds=40").text


def test_views_are_saved_by_those_who_are_signed_in(site):
    with site.client() as client:
        assert client.post("/deals/views", data={"name": "Mine", "query": "odds=40"}).status_code in (303, 401, 403)
        assert "Save this view" not in client.get("/deals").text
    with site.signed_in() as client:
        saved = client.post("/deals/views", data={"name": "Likely", "query": "odds=40&sort=-amount&bad=1"})
        assert saved.headers["location"] == "/deals?odds=40&sort=-amount"
        shown = client.get("/deals").text
        remove = re.search(r'action="(/deals/views/(\d+)/remove)"', shown)
        gone = client.post(remove[1])
        assert "Undo" in client.get(gone.headers["location"]).text
        assert client.post(f"/deals/views/{remove[2]}/restore").headers["location"] == "/deals?odds=40&sort=-amount"
        assert "Likely" in client.get("/deals").text
    with site.signed_in("rep@example.com") as client:
        assert "Likely" not in client.get("/deals").text
        assert client.post(remove[1]).status_code == 404


def test_what_if_is_asked_of_open_deals_alone(site):
    with site.client() as client:
        assert "Move something to see what the model would say." in client.get(f"/deals/{site.deal}").text
        assert client.get("/deals/no-such/what-if?meetings=1").status_code == 404
        with connect() as con:
            site.home.lake.view().attach(con)
            won = con.sql("select deal_id from deals where outcome = 'won' order by 1 limit 1").fetchall()[0][0]
        assert 'id="what-if"' not in client.get(f"/deals/{won}").text


def test_similar_won_deals_share_two_traits_at_least(site):
    with site.client() as client:
        shown = client.get(f"/deals/{site.deal}").text
    part = re.search(r'aria-labelledby="similar">.*?</section>', shown, re.S)[0]
    traits = re.findall(r'<td class="fold">([^<]+)</td>', part)
    assert traits
    assert all(len(text.split(", ")) >= 2 for text in traits)
