"""Scoring deals that are sent along, and asking what a change would make of a deal."""

import pandas as pd
import pytest

DEALS, LOG, TOUCHES = "deals", "deal_changes", "activities"


@pytest.fixture
def client(live_site):
    with live_site.client("admin@example.com") as client:
        yield client


@pytest.fixture(scope="module")
def lake(live_home):
    view = live_home.lake.view()
    return {name: view.arrow(name).to_pandas() for name in (DEALS, LOG, TOUCHES)}


def text(value):
    return None if pd.isna(value) else str(value)


def iso(moment):
    return moment.isoformat()


def as_sent(lake, deal_id, *, without=()):
    """A deal of the lake as a client would send it."""
    row = lake[DEALS].set_index("deal_id").loc[deal_id]
    plain = ("account_id", "owner_id", "product_id", "pipeline", "kind", "source", "stage", "currency")
    sent = {name: text(row[name]) for name in (*plain, "forecast_category", "close_date")}
    for name in ("amount", "list_amount"):
        sent[name] = None if pd.isna(row[name]) else float(row[name])
    sent["deal_id"] = deal_id
    sent["custom"] = {
        c: None if pd.isna(row[c]) else float(row[c]) if c == "x_need_score" else row[c]
        for c in lake[DEALS]
        if c.startswith("x_")
    }
    log, touches = (lake[t][lake[t]["deal_id"] == deal_id] for t in (LOG, TOUCHES))
    fields = ("field", "old_value", "new_value")
    changes = [
        {"changed_at": iso(c.changed_at), **{name: text(getattr(c, name)) for name in fields}}
        for c in log.sort_values("_seq").itertuples()
    ]
    named = ("kind", "direction", "rep_id", "contact_id")
    activities = [
        {"occurred_at": iso(a.occurred_at), **{name: text(getattr(a, name)) for name in named}}
        for a in touches.itertuples()
    ]
    made = {**sent, "created_at": iso(row["created_at"]), "changes": changes, "activities": activities}
    return {name: value for name, value in made.items() if name not in without}


def an_open_deal(lake, place=0):
    """An open deal whose log and activities have the same clock for what happened and what was written."""
    deals = lake[DEALS][(lake[DEALS]["outcome"] == "open") & (lake[DEALS]["kind"] != "lead")]
    return deals.sort_values("deal_id")["deal_id"].iloc[place]


A_DEAL = {"stage": "Qualify", "created_at": "2026-01-05T09:00:00Z"}
BEFORE, AFTER = "2026-01-06T00:00:00Z", "2199-01-01T00:00:00Z"


def test_a_deal_that_is_sent_as_it_is_counts_once_and_is_scored_as_the_one_in_the_lake(client, lake):
    deal = an_open_deal(lake)
    answer = client.post("/score", json={"deals": [as_sent(lake, deal)]}, timeout=60).json()
    (found,) = answer["deals"]
    known = client.get(f"/deals/{deal}").json()
    assert found["win_probability"] == pytest.approx(known["win_probability"], abs=1e-6)
    assert answer["as_of"] == known["as_of"]
    assert (found["account"], found["owner"]) == ("found", "found")
    assert [p["days"] for p in found["curve"]] == [30, 60, 90]
    assert all(a["won"] <= b["won"] for a, b in zip(found["curve"], found["curve"][1:], strict=False))


def test_what_is_not_looked_up_is_missing(client, lake):
    deal = an_open_deal(lake)
    with_both = client.post("/score", json={"deals": [as_sent(lake, deal)]}).json()["deals"][0]
    sent = [as_sent(lake, deal, without=("account_id",)), {**as_sent(lake, deal), "owner_id": "nobody"}]
    no_account, no_owner = (client.post("/score", json={"deals": [one]}).json()["deals"][0] for one in sent)
    assert (no_account["account"], no_owner["owner"]) == ("not_given", "not_found")
    assert set(with_both["missing"]) < set(no_account["missing"])
    assert set(with_both["missing"]) < set(no_owner["missing"])


def test_a_deal_sent_twice_is_refused(client):
    refused = client.post("/score", json={"deals": [{**A_DEAL, "deal_id": "x"}, {**A_DEAL, "deal_id": "x"}]})
    assert (refused.status_code, "deals.1.deal_id" in refused.json()["detail"]) == (400, True)


def test_a_deal_that_one_may_not_see_is_not_looked_up(live_site, lake):
    """Whoever sends the key of another's deal learns nothing of it: it is scored as any new one."""
    deals = lake[DEALS].set_index("deal_id")["owner_id"]
    with live_site.client("rep@example.com") as client:
        mine = {deal["deal_id"] for deal in client.get("/deals", params={"limit": 200}).json()["deals"]}
        own = deals[list(mine)].iloc[0]
        other = next(deal for deal, owner in deals.items() if owner != own)
        named, new = (
            client.post("/score", json={"deals": [{**A_DEAL, "owner_id": own, "deal_id": key}]}).json()["deals"][0]
            for key in (other, "new")
        )
    assert {**named, "deal_id": None} == {**new, "deal_id": None}


def test_what_is_sent_leaves_nothing_behind(client, lake):
    sent = {"deals": [A_DEAL, {**A_DEAL, "amount": 5000}]}
    first = client.post("/score", json=sent).json()
    assert client.post("/score", json=sent).json() == first
    assert client.get("/deals").json()["total"] == (lake[DEALS].query("outcome == 'open' and kind != 'lead'")).shape[0]


def test_a_rep_whom_one_may_not_see_is_like_none(live_site, lake):
    mine = None
    with live_site.client("rep@example.com") as client:
        mine = client.get("/session").json()["rep_id"]
        other = next(r for r in lake[DEALS]["owner_id"].dropna().unique() if r != mine)
        sent = [{**A_DEAL, "owner_id": owner} for owner in (mine, other, "nobody")]
        own, unseen, absent = client.post("/score", json={"deals": sent}).json()["deals"]
    assert (own["owner"], unseen["owner"], absent["owner"]) == ("found", "not_found", "not_found")
    assert unseen == absent


@pytest.mark.parametrize(
    ("deal", "status", "said"),
    [
        ({"created_at": "2026-01-05T09:00:00Z"}, 422, "deals.0.stage"),
        ({**A_DEAL, "stge": "x"}, 422, "deals.0.stge"),
        ({**A_DEAL, "created_at": "2026-01-05T09:00:00"}, 422, "deals.0.created_at"),
        ({**A_DEAL, "created_at": "2199-01-05T09:00:00Z"}, 400, "deals.0.created_at"),
        ({**A_DEAL, "amount": 1e13}, 422, "deals.0.amount"),
        ({**A_DEAL, "custom": {"x_none": 1}}, 400, "deals.0.custom.x_none"),
        ({**A_DEAL, "custom": {"x_need_score": 1.5}}, 400, "deals.0.custom.x_need_score"),
        ({**A_DEAL, "custom": {"x_need_score": "high"}}, 400, "deals.0.custom.x_need_score"),
        ({**A_DEAL, "changes": [{"field": "name", "changed_at": BEFORE}]}, 400, "deals.0.changes.0.field"),
        ({**A_DEAL, "activities": [{"kind": "call", "occurred_at": AFTER}]}, 400, "deals.0.activities.0.occurred_at"),
        ({**A_DEAL, "activities": [{"kind": "chat", "occurred_at": BEFORE}]}, 422, "deals.0.activities.0.kind"),
    ],
)
def test_a_fault_is_named_by_index_and_field(client, deal, status, said):
    answer = client.post("/score", json={"deals": [deal]})
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(f"{said}:")


def test_more_deals_than_are_allowed_are_refused(client):
    answer = client.post("/score", json={"deals": [A_DEAL] * 1001})
    assert (answer.status_code, "1000" in answer.json()["detail"]) == (422, True)


def test_without_a_model_the_mend_is_told(site):
    with site.client("admin@example.com") as client:
        answer = client.post("/score", json={"deals": [A_DEAL]})
    assert (answer.status_code, "bellwether train win" in answer.json()["detail"]) == (503, True)


def test_a_meeting_and_a_pushed_date_move_just_what_they_would_move_once_recorded(client, lake):
    deal = an_open_deal(lake, 1)
    row = lake[DEALS].set_index("deal_id").loc[deal]
    later = (pd.Timestamp(row["close_date"]) + pd.Timedelta(days=45)).date().isoformat()
    asked = {"close_date": later, "activities": [{"kind": "meeting"}]}
    answer = client.post(f"/deals/{deal}/what-if", json=asked).json()
    known = client.get(f"/deals/{deal}").json()
    assert answer["before"]["win_probability"] == pytest.approx(known["win_probability"], abs=1e-9)
    # The meeting is a contact of today; the pushed date is one more change of the date.
    assert {"touches_30d", "days_silent"} <= set(answer["moved"])
    assert any("close" in name for name in answer["moved"])
    assert "not a promise" in answer["note"]
    again = client.post(f"/deals/{deal}/what-if", json=asked).json()
    assert again == answer  # nothing was kept


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({}, 400, "Nothing would change"),
        ({"amount": -1}, 422, "amount"),
        ({"stage": "Nowhere"}, 400, "stage: there is no stage 'Nowhere'. Known: "),
        ({"owner_id": "r1"}, 422, "owner_id"),
        ({"activities": [{"kind": "call", "contact_id": "nobody"}]}, 400, "activities.0.contact_id"),
    ],
)
def test_what_cannot_be_supposed_is_refused(client, lake, asked, status, said):
    answer = client.post(f"/deals/{an_open_deal(lake)}/what-if", json=asked)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True)


def test_a_deal_that_one_may_not_see_is_like_none(live_site, lake):
    deals = lake[DEALS][lake[DEALS]["outcome"] == "open"].set_index("deal_id")
    with live_site.client("rep@example.com") as client:
        mine = client.get("/session").json()["rep_id"]
        other = deals.index[deals["owner_id"] != mine][0]
        asked = {"activities": [{"kind": "call"}]}
        unseen, absent = (client.post(f"/deals/{d}/what-if", json=asked) for d in (other, "nowhere"))
        assert (unseen.status_code, unseen.json()) == (404, absent.json())
        assert client.post(f"/deals/{deals.index[deals['owner_id'] == mine][0]}/what-if", json=asked).status_code == 200
