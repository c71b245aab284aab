"""Answers of the routes on persons as they may look, for the OpenAPI document."""

from __future__ import annotations

from serving.examples import Example

_MADE = "2026-03-01T12:00:00Z"
REQUEST: Example = {
    "request_id": 4,
    "person_key": "p_0123456789abcdef",
    "kind": "correction",
    "about": "tenure_days",
    "text": "I was hired in May, not in June.",
    "made_at": _MADE,
    "state": "open",
    "answer": None,
    "answered_by": None,
    "answered_at": None,
}
REQUESTS: Example = {"total": 1, "requests": [REQUEST]}
KNOWN: Example = {
    "rep_id": "R-5",
    "person_key": "p_0123456789abcdef",
    "as_of": _MADE,
    "level": "team",
    "keep_months": 24,
    "details": {"name": "Wang Fang", "email": "wang.fang@example.com"},
    "figures": [
        {
            "name": "tenure_days",
            "use": "attainment",
            "unit": "days",
            "en": "Days since hired",
            "zh": "入职天数",
            "rests_on": ["reps.hired_on", "reps.rep_id"],
            "value": 412.0,
        }
    ],
    "rows": [{"table": "deals", "column": "owner_id", "rows": 41, "newest": "2026-02-27T09:12:00Z"}],
    "looks": [{"at": _MADE, "who": "manager@example.com", "role": "manager", "what": "page forecast"}],
    "requests": [REQUEST],
}
PURPOSE: Example = {
    "purpose": "coaching",
    "on": True,
    "why_off": "",
    "agreements": [
        {
            "purpose": "coaching",
            "agreed_by": "Works council",
            "agreed_on": "2026-02-20",
            "note": "For one year.",
            "recorded_by": "admin@example.com",
            "recorded_at": _MADE,
            "withdrawn_at": None,
            "withdrawn_by": None,
            "withdrawn_why": None,
        }
    ],
}
PURPOSES_NOW: Example = {"purposes": [PURPOSE]}
_THEME: Example = {
    "habit": "decision_maker",
    "unit": "share",
    "more_is_better": True,
    "deals": 41,
    "own": 0.22,
    "colleagues": 0.41,
    "gap": -0.15,
    "low": -0.27,
    "high": -0.03,
}
COACHING: Example = {
    "rep_id": "R-5",
    "as_of": _MADE,
    "deals": 63,
    "strengths": [],
    "themes": [_THEME],
    "compared": [_THEME],
    "since": [
        {
            "habit": "decision_maker",
            "then": _THEME,
            "deals": 12,
            "own": 0.42,
            "colleagues": 0.40,
            "change": 0.17,
            "low": -0.08,
            "high": 0.42,
            "verdict": "not known yet",
        }
    ],
}
