"""The pages of goals: setting, changing, splitting, undoing, and who may."""

import re
from html import unescape

import pytest

from planning.workdays import Workdays


def text_of(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def rows_of(answer):
    """Cells of the body rows of the first table."""
    body = answer.text.split("<tbody>")[1].split("</tbody>")[0]
    rows = re.findall(r"<tr.*?</tr>", body, flags=re.S)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.S) for row in rows]
    return [[" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in row] for row in cells]


def quarter(site):
    company = site.home.company()
    period = company.period_of(site.as_of.date())
    return period, f"{period.start}_{period.end}"


def make(client, site, **fields):
    given = {"owner": "company:company", "metric": "won_deals", "period": quarter(site)[1], "target": "40",
             "why": "agreed with sales"} | fields  # fmt: skip
    return client.post("/goals/new", data=given)


def undo(client, page):
    batch = re.search(r'name="batch" value="(\w+)"', page)[1]
    return client.post("/goals/undo", data={"batch": batch}, follow_redirects=True)


def test_a_goal_is_set_judged_changed_and_put_back(site):
    with site.signed_in() as client:
        made = make(client, site)
        assert made.status_code == 303
        address = made.headers["location"]
        page = client.get(address)
        said = text_of(page)
        # Set on the newest day of the data: the working days gone of the quarter's, more than a tenth.
        period, _ = quarter(site)
        gone = Workdays().count(period.start, site.as_of.date()) + (site.as_of.date() in Workdays())
        assert f"Time-bound: Set on working day {gone} of {Workdays().count(period.start, period.end)}." in said
        assert all(f"{letter}:" in said for letter in ("Specific", "Measurable", "Achievable", "Relevant"))
        changed = client.post(f"{address}/change", data={"target": "50", "version": 1, "why": "two more people came"})
        assert changed.status_code == 303
        page = client.get(address)
        assert "changed · 40 → 50" in text_of(page)
        assert "two more people came" in text_of(page)
        late = client.post(f"{address}/change", data={"target": "60", "version": 1, "why": "two more people came"})
        assert (late.status_code, "was changed meanwhile" in text_of(late)) == (400, True)
        undo(client, page.text)
        assert "Goal 40 Reached so far" in text_of(client.get(address))
        client.post(f"{address}/end", data={"why": "no longer wanted"})
        assert "This goal was ended." in text_of(client.get(address))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"target": "much"}, "target: 'much' is no number above 0"),
        ({"target": "0"}, "target: '0' is no number above 0"),
        ({"start": "2026-05-01", "end": "2026-04-01"}, "period_end: 2026-04-01 is not after 2026-05-01"),
        ({"metric": "conversion_rate", "target": "25"}, "is no share"),
        ({"metric": "customer_satisfaction", "target": "6"}, "is no mean grade"),
        ({"owner": "rep:nobody"}, "there is no rep 'nobody'"),
        ({"why": " "}, "why: give the reason"),
        ({"product_family": "Unicorns"}, "No record of product_family Unicorns"),
    ],
)
def test_what_cannot_be_set_is_said_above_the_form_that_keeps_it(site, fields, says):
    with site.signed_in() as client:
        answer = make(client, site, **fields)
        assert (answer.status_code, says in text_of(answer)) == (400, True)
        assert 'value="' + fields.get("target", "40") + '"' in answer.text


def test_a_split_is_shown_fixed_kept_and_undone(site):
    with site.signed_in() as client:
        address = make(client, site, metric="activities", target="1000").headers["location"]
        goal = address.rsplit("/", 1)[1]
        sent = {"goal": goal, "method": "equal"}
        rows = {row[0]: row for row in rows_of(client.post("/goals/cascade", data=sent))}
        company = site.home.lake.view().arrow("reps").to_pylist()
        carry = [r for r in company if r["role"] != "manager"]
        people = [row for row in rows.values() if row[1]]
        assert 1 < len(people) <= len(carry)
        numbers = [int(row[2].replace(",", "")) for row in people]
        assert sum(numbers) == 1000
        assert max(numbers) - min(numbers) <= 1
        fixed = sent | {f"pin.{site.rep}": "300", "why": "first split"}
        pinned = client.post("/goals/cascade", data=fixed)
        assert sum(int(row[2].replace(",", "")) for row in rows_of(pinned) if row[1]) == 1000
        assert 'value="300"' in pinned.text
        refused = client.post("/goals/cascade/apply", data=fixed | {"why": ""})
        assert (refused.status_code, "why: give the reason" in text_of(refused)) == (400, True)
        too_much = client.post("/goals/cascade", data=fixed | {f"pin.{site.rep}": "1001"})
        assert "The numbers fixed by hand sum to 1 more than the target." in text_of(too_much)
        assert 'value="1001"' in too_much.text
        kept = client.post("/goals/cascade/apply", data=fixed)
        assert kept.status_code == 303
        done = client.get(kept.headers["location"])
        assert re.search(r"\d+ goals set · ann@example\.com\. first split", text_of(done))
        assert "Goals of people add up" in text_of(client.get(f"/goals?metric=activities&period={quarter(site)[1]}"))
        undo(client, done.text.split('class="card done"')[1])
        left = rows_of(client.get("/goals?metric=activities"))
        assert [row[1] for row in left] == ["Activities"]
        client.post(f"{address}/end", data={"why": "no longer wanted"})


def test_reps_see_their_own_goals_and_set_none(site):
    with site.signed_in() as client:
        owner = f"rep:{site.rep}"
        mine = make(client, site, owner=owner, metric="new_accounts", target="9").headers["location"]
        whole = make(client, site, metric="new_accounts", target="90").headers["location"]
    with site.signed_in("rep@example.com") as client:
        assert client.get(mine).status_code == 200
        assert client.get(whole).status_code == 404
        assert make(client, site, owner=owner).status_code in (400, 403)
        assert "/goals/new" not in client.get("/goals").text
        assert client.post(f"{mine}/end", data={"why": "too hard for me"}).status_code == 403
    with site.client() as client:  # the sample company at this machine: to be seen, not to be changed
        assert client.get("/goals").status_code == 200
        assert client.post(f"{mine}/end", data={"why": "too hard for me"}).status_code in (303, 401)
    with site.signed_in() as client:
        assert "new_accounts" not in text_of(client.get(mine))
        for address in (mine, whole):
            client.post(f"{address}/end", data={"why": "no longer wanted"})
