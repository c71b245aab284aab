"""Every route of API and pages that writes: what to send to try it on a row, and the rows that a walk tries it on.

Routes that nobody knows here fail the test that compares this list with the app's own.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import httpx

from serving import pages, routes
from serving.app import API, _routers
from serving.goals import By, Goals
from serving.reviews.meetings import Meetings
from serving.saved_views import save_view
from serving.store import Store
from serving.tables.risks import ContingencyPlan, ContingencyStep
from serving.tables.users import ApiToken
from tests.serving.every_table import rows_of
from tests.serving.small_site import AS_OF

KEY = "{key}"
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
WHY = {"why": "Tried."}
GOAL = {"metric": "bookings", "period_start": "2027-01-01", "period_end": "2027-04-01", "target": 9}
SERIES = {"period": "weekly", "weekday": 1, "begins": "09:00"}
DECISION = {"item": "plan", "text": "Tried here."}
ACTION = {"rep_id": "nobody", "due": "2027-01-01", "text": "Tried here."}
AGREED = {"agreed_by": "nobody", "agreed_on": "2026-01-01"}
# What anybody's request may leave behind: who looked or tried, and what was answered.
TRACES = {"audit", "person_views", "kept_answers", "failed_tries", "sign_ins"}


class Write(NamedTuple):
    """A write to one row of a kind; `KEY` stands for its key in path and body, pages get a form."""

    route: str
    kind: str
    body: Mapping[str, Any] = {}

    @property
    def form(self) -> bool:
        """Whether a page's form sends it."""
        return API not in self.route

    def send(self, client: httpx.Client, key: str) -> httpx.Response:
        """Try it on one row."""
        method, path = self.route.split(" ")
        if self.kind:
            path = re.sub(r"{[^}]*}", key, path, count=1)
        path = re.sub(r"{rank}|{place}|{decision_id}", "1", re.sub(r"{play}", "call_them", path))
        path = re.sub(r"{[^}]*}", "1", re.sub(r"{purpose}", "pay", re.sub(r"{what}", "win", path)))
        body = _filled(self.body, key)
        params = body if method == "DELETE" else None
        given = {"data": body} if self.form else {"json": body}
        return client.request(method, path, params=params, **({} if method == "DELETE" else given))


def _filled(body: Any, key: str) -> Any:
    if isinstance(body, Mapping):
        return {_filled(name, key): _filled(value, key) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, key) for value in body]
    return body.replace(KEY, key) if isinstance(body, str) else body


def _api(method: str, path: str, kind: str, body: Mapping[str, Any] | None = None) -> Write:
    return Write(f"{method} {API}{path}", kind, body or {})


def _page(path: str, kind: str, body: Mapping[str, Any] | None = None) -> Write:
    return Write(f"POST {path}", kind, body or {})


ON_ROWS = [
    _api("POST", "/deals/{deal_id}/what-if", "deal"),
    _api("POST", "/deals/{deal_id}/advice/{rank}/feedback", "deal", {"answer": "helped"}),
    _api("DELETE", "/deals/{deal_id}/advice/{rank}/feedback", "deal"),
    _page("/deals/{deal_id}/advice/{rank}", "deal", {"answer": "helped"}),
    _page("/deals/{deal_id}/advice/{rank}", "deal", {"answer": "undo"}),
    _api("POST", "/accounts/{account_id}/plays/{play}/feedback", "account", {"answer": "helped"}),
    _api("DELETE", "/accounts/{account_id}/plays/{play}/feedback", "account"),
    _page("/accounts/{account_id}/plays/{play}", "account", {"answer": "helped"}),
    _page("/accounts/{account_id}/plays/{play}", "account", {"answer": "undo"}),
    _api("POST", "/calls", "rep", {"entity": "rep", "entity_id": KEY, "value": 5.0}),
    _api("POST", "/calls", "team", {"entity": "team", "entity_id": KEY, "value": 5.0}),
    _page("/forecast/reps/{ident}/calls", "rep", {"kind": "commit", "metric": "bookings", "value": "5"}),
    _page("/forecast/teams/{ident}/calls", "team", {"kind": "commit", "metric": "bookings", "value": "5"}),
    _api("POST", "/goals", "rep", {**GOAL, **WHY, "owner_kind": "rep", "owner_id": KEY}),
    _api("POST", "/goals", "team", {**GOAL, **WHY, "owner_kind": "team", "owner_id": KEY}),
    _page("/goals/new", "rep", {"owner": f"rep:{KEY}", "period": "2027-01-01/2027-04-01", "target": "9", **WHY}),
    _page("/goals/new", "team", {"owner": f"team:{KEY}", "period": "2027-01-01/2027-04-01", "target": "9", **WHY}),
    *(
        write
        for kind in ("goal", "own goal")
        for write in (
            _api("PATCH", "/goals/{goal_id}", kind, {"target": 9, "version": 1, **WHY}),
            _api("DELETE", "/goals/{goal_id}", kind, WHY),
            _api("POST", "/goals/{goal_id}/take-over", kind, WHY),
            _api("POST", "/goals/cascade", kind, {"goal_id": KEY, "apply": True, **WHY}),
            _api("POST", "/goals/resplit", kind, {"goal_id": KEY, "apply": True, **WHY}),
            _page("/goals/{goal_id}/change", kind, {"target": "9", "version": "1", **WHY}),
            _page("/goals/{goal_id}/end", kind, WHY),
            _page("/goals/{goal_id}/take-over", kind, WHY),
            _page("/goals/cascade", kind, {"goal": KEY}),
            _page("/goals/cascade/apply", kind, {"goal": KEY, **WHY}),
            _page("/goals/resplit", kind, {"goal": KEY}),
            _page("/goals/resplit/apply", kind, {"goal": KEY, **WHY}),
        )
    ),
    _api("POST", "/goals/undo", "batch", {"batch": KEY, **WHY}),
    _page("/goals/undo", "batch", {"batch": KEY}),
    _api("PATCH", "/risks/{risk_id}", "risk", {"note": "Tried.", **WHY}),
    _api("POST", "/risks/{risk_id}/undo", "risk"),
    _api("POST", "/risks/{risk_id}/plan", "risk"),
    _page("/risks/{risk_id}", "risk", {"state": "mitigating"}),
    _page("/risks/{risk_id}/undo", "risk"),
    _page("/risks/{risk_id}/plan", "risk"),
    _api("PATCH", "/risks/plans/{plan_id}/steps/{place}", "plan", {"state": "done"}),
    _api("POST", "/risks/plans/{plan_id}/close", "plan"),
    _page("/risks/plans/{plan_id}/steps/{place}", "plan", {"state": "done"}),
    _page("/risks/plans/{plan_id}/close", "plan"),
    _api("POST", "/scenarios", "rep", {"levers": [{"kind": "leave", "rep_id": KEY}]}),
    _api("POST", "/scenarios", "team", {"levers": [{"kind": "hire", "people": 1, "to_team": KEY}]}),
    _api("POST", "/scenarios", "deal", {"levers": [{"kind": "hand_over", "deal_id": KEY, "rep_id": "nobody"}]}),
    _api("POST", "/reviews/series", "team", {**SERIES, "team_id": KEY}),
    _page("/reviews/series", "team", {"rhythm": "weekly", "team_id": KEY, "weekday": "1", "begins": "09:00"}),
    _api("PATCH", "/reviews/series/{series_id}", "series", {"weekday": 2}),
    _api("DELETE", "/reviews/series/{series_id}", "series"),
    _api("POST", "/reviews", "series number", {"series_id": KEY}),
    _page("/reviews/series/{series_id}", "series", {"weekday": "2", "begins": "10:00"}),
    _page("/reviews/series/{series_id}/end", "series"),
    _page("/reviews/series/{series_id}/start", "series"),
    _api("POST", "/reviews/{review_id}/decisions", "review", DECISION),
    _api("DELETE", "/reviews/{review_id}/decisions/{decision_id}", "review"),
    _api("POST", "/reviews/{review_id}/actions", "review", ACTION),
    _api("POST", "/reviews/{review_id}/close", "review"),
    _api("POST", "/reviews/{review_id}/send", "review"),
    _page("/reviews/{review_id}/decisions", "review", DECISION),
    _page("/reviews/{review_id}/decisions/{decision_id}/undo", "review"),
    _page("/reviews/{review_id}/actions", "review", ACTION),
    _page("/reviews/{review_id}/close", "review"),
    _page("/reviews/{review_id}/send", "review"),
    _api("PATCH", "/reviews/actions/{action_id}", "action", {"state": "done"}),
    _page("/reviews/actions/{action_id}", "action", {"state": "done"}),
    _api("DELETE", "/tokens/{token_id}", "token"),
    _page("/account/tokens/{token_id}/revoke", "token"),
    _page("/deals/views/{view_id}/remove", "view"),
    _page("/deals/views/{view_id}/restore", "view"),
]
"""Writes to rows that belong to somebody: tried on rows of others, they answer like one on a row that is not there."""

PREVIEWS = {"POST /goals/cascade", "POST /goals/resplit"}
"""Pages that say above their form what cannot be shown in it."""

BY_ROLE = [
    _api("POST", "/jobs", "", {"kind": "score"}),
    _api("POST", "/jobs/{job_id}/cancel", ""),
    _api("POST", "/imports", ""),
    _api("POST", "/imports/guess", ""),
    _api("POST", "/models/{what}/versions/{version}/promote", "", WHY),
    _api("POST", "/models/{what}/roll-back", "", WHY),
    _api("POST", "/users", "", {"email": "new@example.com", "role": "admin"}),
    _api("PATCH", "/users/{user_id}", "", {"role": "admin"}),
    _api("POST", "/users/{user_id}/link", ""),
    _api("PUT", "/purposes/{purpose}", "", AGREED),
    _api("DELETE", "/purposes/{purpose}", ""),
    _api("POST", "/people/requests/{request_id}/answer", "", {"text": "Tried."}),
    _api("DELETE", "/people/{person}", "rep"),
    _page("/users", "", {"email": "new@example.com", "role": "admin"}),
    _page("/users/{user_id}", "", {"role": "admin"}),
    _page("/users/{user_id}/end", ""),
    _page("/users/{user_id}/return", ""),
    _page("/users/{user_id}/link", ""),
    _page("/people-data/requests/{request_id}", "", {"text": "Tried."}),
    _page("/people-data/purposes/{purpose}", "", AGREED),
    _page("/people-data/purposes/{purpose}/withdraw", ""),
    _page("/people-data/erase", "rep", {"key": KEY, "again": KEY}),
    _page("/settings/company", "", {"key": "name", "value": "Tried"}),
    _page("/data/import", ""),
    _page("/data/guess", ""),
    _page("/data/guess/{upload}", "upload", {"mapping": "tables: {}"}),
    _page("/data/train", ""),
    _page("/data/score", ""),
    _page("/data/sync", "", {"crm": "zoho"}),
    _page("/data/jobs/{job_id}/cancel", ""),
    _page("/data/refused/{name}", ""),
    _page("/data/crms/test", "", {"crm": "zoho"}),
    _page("/data/crms/write-back", "", {"crm": "zoho"}),
    _page("/models/{what}/promote", "", {"version": "1", **WHY}),
    _page("/models/{what}/roll-back", "", WHY),
]
"""Writes that reps and managers may not do at all, whatever the row."""

OF_ONESELF = {
    f"POST {API}/session",
    f"DELETE {API}/session",
    f"POST {API}/tokens",
    f"POST {API}/reviews/feed/tokens",
    f"POST {API}/people/me/requests",
    "POST /sign-in",
    "POST /sign-out",
    "POST /account/password",
    "POST /account/tokens",
    "POST /reviews/feed",
    "POST /me/requests",
    "POST /preferences",
    "POST /look",
    "POST /tour/end",
    "POST /deals/views",
    "POST /password/{link}",
    # What it looks up is told as not found where it is not one's own: tests/serving/test_score.py.
    f"POST {API}/score",
    # Without sign-in; what a channel's token or a signature opens: tests/serving/test_messages.py and its like.
    f"POST {API}/crms/hubspot/messages",
    f"POST {API}/crms/{{crm}}/messages",
}
"""Writes that name no row of anybody else."""


def writing_routes() -> set[str]:
    """Method and path of every route that the app itself has and that is no plain read."""
    found = [(API, r) for router in _routers(routes) for r in router.routes]
    found += [("", r) for router in _routers(pages) for r in router.routes]
    return {f"{method} {prefix}{r.path}" for prefix, r in found for method in WRITES & r.methods}


def put_rows(store: Store, teams: Collection[str], reps: Collection[str], other: int) -> dict[str, dict[str, str]]:
    """Rows to be tried on, by kind: the key of each, and the team or rep that it belongs to.

    Tokens and saved views are of a user who takes no part.
    """
    meetings, day = Meetings(store), AS_OF.date()
    made: dict[str, dict[str, str]] = {kind: {} for kind in ("series", "review", "action", "plan", "own goal", "batch")}
    for team in teams:
        series = meetings.plan("weekly", team, weekday=1, begins="09:00", invited=[], user_id=other, at=AS_OF)
        held = meetings.start(series.series_id, day=day, since=day, as_of=AS_OF, data_cut=1, forecast=None,
                              user_id=other, at=AS_OF)  # fmt: skip
        meetings.decide(held.review_id, "plan", "Decided.", forecast=None, user_id=other, at=AS_OF)
        act = meetings.act(held.review_id, item="plan", subject="", text="To do.", rep_id="nobody",
                           due=date(2027, 1, 1), user_id=other, at=AS_OF)  # fmt: skip
        made["series"][str(series.series_id)] = made["review"][str(held.review_id)] = team
        made["action"][str(act.action_id)] = team
    for rep in reps:
        with store.session() as session:
            plan = ContingencyPlan(template="target_missed", subject_kind="rep", subject_id=rep, state="started",
                                   started_at=AS_OF, trigger={}, filled={}, filled_at=AS_OF, false_weeks=0)  # fmt: skip
            session.add(plan)
            session.flush()
            session.add(ContingencyStep(plan_id=plan.plan_id, place=1, what="call_accounts", due=day, state="open",
                                        note="", changed_at=AS_OF))  # fmt: skip
            made["plan"][str(plan.plan_id)] = rep
        by = By(other, AS_OF, "Made.")
        fields = {"owner_kind": "rep", "owner_id": rep, "metric": "won_deals", "product_id": None,
                  "product_family": None, "segment": None, "period_start": date(2026, 10, 1),
                  "period_end": date(2027, 1, 1), "target": 9.0, "currency": None, "parent_goal_id": None}  # fmt: skip
        (goal,) = Goals(store).set_all([(fields, None, None)], by)
        made["own goal"][f"g-{goal.goal_number}"] = made["batch"][by.batch] = rep
    with store.session() as session:
        token = ApiToken(token_hash="0" * 64, user_id=other, name="Another's", scopes="read", made_at=AS_OF,
                         ends_at=AS_OF)  # fmt: skip
        session.add(token)
        session.flush()
        made["token"] = {str(token.token_id): ""}
    made["view"] = {str(save_view(store, other, "deals", "Another's", "")): ""}
    made["series number"] = made["series"]
    return made


def kept(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All that the store keeps, but for traces of who looked and tried."""
    return {name: rows for name, rows in rows_of(store).items() if name not in TRACES}


def check_hidden(client: httpx.Client, hidden: Mapping[str, Sequence[str]], most: int) -> int:
    """Rows of others, so many of a kind at most, answer to every write like a row that is not there.

    Gives how many writes were tried.
    """
    tried = 0
    for write in ON_ROWS:
        keys = hidden.get(write.kind, ())[:most]
        absent = _told(write, client, "9999" if all(key.isdigit() for key in keys) else "absent") if keys else None
        for key in keys:
            found = _told(write, client, key)
            assert found == absent, (write, key)
            assert found[0] in (400, 403, 404) or write.route in PREVIEWS, (write, key, found[0])
            tried += 1
    return tried


def check_roles(client: httpx.Client, rep: str) -> None:
    """Reps and managers are refused what only analysts and administrators may do."""
    for write in BY_ROLE:
        key = {"rep": rep, "upload": "0" * 24}.get(write.kind, "")
        answer = write.send(client, key)
        assert answer.status_code == 403, (write, answer.status_code, answer.text[:300])


def _told(write: Write, client: httpx.Client, key: str) -> tuple[int, str]:
    answer = write.send(client, key)
    where = answer.headers.get("location", "")
    told = (where + answer.text).replace(answer.request.url.path, "PATH")
    if write.form and key.isdigit():  # a page holds other numbers too, and the key in its address alone
        return answer.status_code, told
    return answer.status_code, re.sub(rf"\b{re.escape(key)}\b", "KEY", told)


def all_routes() -> Iterator[str]:
    """Routes that this list knows, those of pages as the app writes them."""
    for write in [*ON_ROWS, *BY_ROLE]:
        yield write.route.replace("/forecast/reps/", "/forecast/{level}/").replace("/forecast/teams/",
                                                                                   "/forecast/{level}/")  # fmt: skip
    yield from OF_ONESELF
