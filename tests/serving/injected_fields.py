"""Every field of the OpenAPI document that takes text: what goes around the text, and where it is refused and why."""

import re

from tests.serving.injected import ANY, KEY, text_fields
from tests.serving.small_site import PASSWORD

EMAIL = "admin@example.com"
QUARTER = {"period_start": "2026-04-01", "period_end": "2026-07-01", "metric": "won_deals"}
GOAL = {"owner_kind": "rep", "owner_id": "r1", "target": 9, "why": "because", **QUARTER}
WHEN = {"changed_at": "2026-01-06T09:00:00Z"}
CONTACT = {"kind": "call", "occurred_at": "2026-01-06T09:00:00Z"}
DEAL = {"stage": "Demo", "created_at": "2026-01-05T09:00:00Z"}
# What each write takes, in an order in which each finds what it needs; texts are put into it field by field.
WRITES = {
    "POST /calls": {"entity": "rep", "entity_id": "r1", "value": 7.0},
    "POST /deals/{deal_id}/advice/{rank}/feedback": {"answer": "helped"},
    "POST /accounts/{account_id}/plays/{play}/feedback": {"answer": "helped"},
    "POST /goals": GOAL,
    "PATCH /goals/{goal_id}": {"target": 8, "why": "because"},
    "POST /goals/cascade": {"goal_id": "g-company", "apply": True, "why": "because"},
    "POST /goals/resplit": {"goal_id": "g-company", "why": "because"},
    "POST /goals/undo": {"batch": "none", "why": "because"},
    "POST /goals/{imported}/take-over": {"target": 7, "why": "because"},
    "POST /models/{what}/versions/{version}/promote": {"why": "because"},
    "POST /models/{what}/roll-back": {"why": "because"},
    "POST /people/me/requests": {"kind": "comment", "text": "because"},
    "POST /people/requests/{request_id}/answer": {"text": "because"},
    "PUT /purposes/{purpose}": {"agreed_by": "Council", "agreed_on": "2026-01-02"},
    "POST /reviews/series": {},
    "PATCH /reviews/series/{series_id}": {},
    "POST /reviews/{review_id}/decisions": {"text": "because"},
    "POST /reviews/{review_id}/actions": {"text": "because", "rep_id": "r1", "due": "2027-03-20"},
    "PATCH /reviews/actions/{action_id}": {"state": "dropped", "reason": "because"},
    "PATCH /risks/plans/{plan_id}/steps/{place}": {},
    "PATCH /risks/{risk_id}": {"note": "because"},
    "POST /scenarios": {"levers": [{"kind": "leave", "rep_id": "r1"}]},
    "POST /score": {"deals": [{**DEAL, "changes": [{"field": "stage", **WHEN}], "activities": [CONTACT]}]},
    "POST /session": {"email": EMAIL, "password": PASSWORD},
    "POST /tokens": {"name": "one"},
    "POST /users": {"email": "other@example.com", "role": "admin"},
    "PATCH /users/{user_id}": {},
    "POST /deals/{deal_id}/what-if": {"activities": [{"kind": "call"}]},
}
SCORED = ("POST /score", "POST /deals/{deal_id}/what-if")  # these need a model: they are sent to the live company
BEFORE = {
    "POST /models/{what}/roll-back": [("POST", "/models/win/versions/2/promote", {"why": "because"})],
    "PUT /purposes/{purpose}": [("DELETE", "/purposes/coaching?why=because")],
    "POST /reviews/{review_id}/decisions": [("POST", "/reviews", {"series_id": 1})],
}
MISSING = "what is named must be there"
FORM = "its form is fixed"
REFUSED = {
    # Nothing is said here of why a customer may leave, so no play is suggested that could be answered.
    ("POST /accounts/{account_id}/plays/{play}/feedback", ("why",)): MISSING,
    ("POST /calls", ("entity_id",)): MISSING,
    ("POST /goals", ("owner_id",)): MISSING,
    ("POST /goals", ("product_id",)): MISSING,
    ("POST /goals", ("product_family",)): MISSING,
    ("POST /goals", ("segment",)): MISSING,
    ("POST /goals", ("parent_goal_id",)): MISSING,
    ("POST /goals", ("currency",)): FORM,
    ("PATCH /goals/{goal_id}", ("parent_goal_id",)): MISSING,
    ("POST /goals/cascade", ("goal_id",)): MISSING,
    ("POST /goals/cascade", ("pins", KEY)): MISSING,
    ("POST /goals/cascade", ("pins", ANY)): FORM,
    ("POST /goals/cascade", ("over_assign",)): FORM,
    ("POST /goals/undo", ("batch",)): MISSING,
    ("POST /goals/resplit", ("goal_id",)): MISSING,
    ("POST /goals/resplit", ("more", 0, "rep_id")): MISSING,
    ("POST /goals/resplit", ("more", 0, "to_team")): MISSING,
    ("POST /goals/resplit", ("without", 0)): MISSING,
    ("POST /reviews/series", ("team_id",)): MISSING,
    ("POST /reviews/series", ("begins",)): FORM,
    ("PATCH /reviews/series/{series_id}", ("begins",)): FORM,
    ("POST /reviews/{review_id}/actions", ("rep_id",)): MISSING,
    ("PATCH /risks/plans/{plan_id}/steps/{place}", ("owner_id",)): MISSING,
    ("PATCH /risks/{risk_id}", ("owner_id",)): MISSING,
    # Nothing is kept of a scenario; here no model can draw the quarter anew, which is told first (503).
    **{("POST /scenarios", ("levers", 0, name)): MISSING
       for name in ("product_id", "segment", "from_team", "to_team", "rep_id", "deal_id")},
    ("POST /score", ("deals", 0, "currency")): FORM,
    ("POST /score", ("deals", 0, "custom", KEY)): MISSING,
    ("POST /score", ("deals", 0, "custom", ANY)): MISSING,
    ("POST /score", ("deals", 0, "changes", 0, "field")): MISSING,
    ("POST /deals/{deal_id}/what-if", ("stage",)): MISSING,
    ("POST /deals/{deal_id}/what-if", ("activities", 0, "contact_id")): MISSING,
    ("POST /session", ("email",)): MISSING,
    ("POST /session", ("password",)): MISSING,
    ("POST /users", ("rep_id",)): MISSING,
    ("PATCH /users/{user_id}", ("rep_id",)): MISSING,
}  # fmt: skip
KEYS = {
    "deal_id": "d1", "account_id": "a1", "rep_id": "r1", "team_id": "west", "goal_id": "bw-1", "imported": "g-r1",
    "crm": "zoho", "rank": "1", "what": "win", "version": "1", "request_id": "1", "purpose": "coaching",
    "series_id": "1", "review_id": "1", "action_id": "1", "plan_id": "1", "place": "1", "risk_id": "1", "user_id": "2",
    "play": "service_recovery", "name": "trend", "form": "html", "link": "none", "job_id": "1", "import_id": "1",
    "person": "r1", "level": "teams", "ident": "west", "step": "1",
}  # fmt: skip


def filled(path: str, **more: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: {**KEYS, **more}.get(m[1], "none"), path)


def fields_of(document: dict) -> list[tuple[str, tuple, dict]]:
    """Every place of a text in every body in JSON, by operation."""
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                name = f"{method.upper()} {path.removeprefix('/api/v1')}".replace("{goal_id}/take", "{imported}/take")
                found += [(name, at, one) for at, one in text_fields(body["schema"], document["components"]["schemas"])]
    order = list(WRITES)
    return sorted(found, key=lambda one: order.index(one[0]))
