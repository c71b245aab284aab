"""Answers as they may look, for the OpenAPI document; a test holds each against its model."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]
AS_OF = "2026-03-01T12:00:00Z"
_REASON: Example = {"feature": "touches_30d", "value": 6.0, "contribution": 0.08}
_REASONS: Example = {"base_value": 0.31, "prediction": 0.39, "contributions": [_REASON]}

DEAL: Example = {
    "deal_id": "D-1042",
    "name": "Line 3 retrofit",
    "account_id": "A-77",
    "owner_id": "R-5",
    "owner_name": "Wang Fang",
    "stage": "Propose",
    "kind": "new",
    "amount": 48000.0,
    "created_at": "2026-01-12T02:15:00Z",
    "close_date": "2026-03-27",
    "as_of": AS_OF,
    "win_probability": 0.39,
    "win_probability_low": 0.28,
    "win_probability_high": 0.5,
    "win_probability_range": "known",
    "expected_amount": 18300.0,
    "expected_close_date": "2026-04-10",
    "p_win_in_period": 0.22,
    "p_lose_in_period": 0.18,
    "p_slip": 0.6,
    "model_version": "3",
    "main_reason": _REASON,
    "next_action": "call",
}
DEALS: Example = {"as_of": AS_OF, "quality": "tested", "total": 1, "deals": [DEAL], "next_cursor": None}
DEAL_DETAIL: Example = {
    **DEAL,
    "reasons": _REASONS,
    "curve": [{"day": 30.0, "won": 0.12, "lost": 0.09}],
    "quality": "tested",
    "note": "Better than the base rate on deals it had not seen.",
}
ADVICE: Example = {
    "deal_id": "D-1042",
    "as_of": AS_OF,
    "horizon_days": 420,
    "on_track": False,
    "advice": [
        {
            "rank": 1,
            "action": "call",
            "due_in_days": 2,
            "expected_uplift": 0.03,
            "uplift_low": -0.01,
            "uplift_high": 0.07,
            "basis": "association",
            "reasons": [{"en": "No contact with the customer in the last 5 days.", "zh": "近5天未与客户互动。"}],
            "would_change": [
                {
                    "en": "It leaves the list with a contact with the customer within the last 5 days.",
                    "zh": "近5天内与客户有互动时，不再列出。",
                },
                {
                    "en": "Done or turned down, it leaves nothing else to suggest for now.",
                    "zh": "完成或否决后，目前没有其他建议。",
                },
            ],
            "contact_id": None,
            "colleague_id": None,
            "expected_value": 1440.0,
            "answer": None,
        }
    ],
}
_SHARES = [{"days": d, "won": w, "lost": x} for d, w, x in ((30, 0.12, 0.09), (60, 0.24, 0.2), (90, 0.31, 0.29))]
_CHANCES: Example = {
    "win_probability": 0.39,
    "win_probability_low": 0.28,
    "win_probability_high": 0.5,
    "win_probability_range": "known",
    "p_win_in_period": 0.22,
    "p_lose_in_period": 0.18,
    "p_slip": 0.6,
}
SCORED: Example = {
    "as_of": AS_OF,
    "model_version": "3",
    "quality": "tested",
    "deals": [
        {
            "deal_id": "D-9001",
            **_CHANCES,
            "curve": _SHARES,
            "account": "found",
            "owner": "not_given",
            "missing": ["owner_win_rate"],
        }
    ],
}
_OUTLOOK: Example = {"win_probability": 0.39, "p_win_in_period": 0.22, "p_slip": 0.6, "curve": _SHARES}
WHAT_IF: Example = {
    "deal_id": "D-1042",
    "as_of": AS_OF,
    "model_version": "3",
    "before": _OUTLOOK,
    "after": {**_OUTLOOK, "win_probability": 0.42},
    "moved": ["touches_30d", "days_silent"],
    "note": "The model's view, not a promise.",
}
_PERIOD: Example = {
    "metric": "bookings",
    "period_start": "2026-01-01",
    "period_end": "2026-04-01",
    "target": 300000.0,
    "actual_to_date": 140000.0,
    "p10": 180000.0,
    "p50": 236000.0,
    "p90": 305000.0,
    "p_attain": 0.12,
    "expected_closed": 140000.0,
    "expected_open": 74000.0,
    "expected_new": 24000.0,
    "model_version": "2",
}
REP: Example = {
    "rep_id": "R-5",
    "name": "Wang Fang",
    "as_of": AS_OF,
    "forecasts": [_PERIOD],
    "reasons": {"base_value": 236000.0, "prediction": 236000.0, "contributions": []},
}
REPS: Example = {
    "as_of": AS_OF,
    "total": 1,
    "reps": [{"rep_id": "R-5", "name": "Wang Fang", **_PERIOD}],
    "next_cursor": None,
}
TEAMS: Example = {
    "as_of": AS_OF,
    "total": 1,
    "teams": [{"team_id": "west", "name": "West", **_PERIOD}],
    "next_cursor": None,
}
TEAM: Example = {"team_id": "west", "as_of": AS_OF, "forecasts": [_PERIOD]}
SCORE_HISTORY: Example = {
    "deal_id": "D-1042",
    "scores": [
        {
            "as_of": "2026-02-22T12:00:00Z",
            "kind": "issued",
            "win_probability": 0.34,
            "p_win_in_period": 0.15,
            "model_version": "3",
        }
    ],
}
CALL: Example = {
    "entity": "team",
    "entity_id": "west",
    "period_start": "2026-01-01",
    "period_end": "2026-04-01",
    "metric": "bookings",
    "kind": "commit",
    "value": 230000.0,
    "why": "Two large renewals are as good as signed.",
    "by": "manager",
    "rep_id": "R-9",
    "as_of": AS_OF,
    "made_at": "2026-02-14T08:30:00Z",
}
CALLS: Example = {"calls": [CALL]}
CALL_ACCURACY: Example = {
    "callers": [
        {
            "entity": "team",
            "entity_id": "west",
            "by": "manager",
            "rep_id": "R-9",
            "kind": "commit",
            "metric": "bookings",
            "n": 8,
            "error": 0.12,
            "model_error": 0.07,
            "naive_error": 0.15,
            "bias": 0.09,
            "accuracy": 0.88,
            "ratio": 1.08,
            "worth": -11500.0,
        }
    ]
}
ACCOUNT: Example = {
    "account_id": "A-77",
    "name": "Harbour Pumps",
    "as_of": AS_OF,
    "churn_probability": 0.17,
    "horizon_days": 90,
    "value_at_risk": 10200.0,
    "model_version": "1",
}
ACCOUNTS: Example = {"as_of": AS_OF, "quality": "tested", "total": 1, "accounts": [ACCOUNT], "next_cursor": None}
ACCOUNT_DETAIL: Example = {
    **ACCOUNT,
    "plays": [
        {
            "play": "reorder_talk",
            "due_in_days": 5,
            "en": "Ask what became of the usual order, and who delivers it now.",
            "zh": "询问常规订单的情况，以及目前由谁供货。",
            "signs": ["order_lateness", "days_since_order"],
            "points": 0.06,
            "value": 3600.0,
            "owner_id": "R-5",
            "contact_id": "C-12",
            "basis": "association",
            "answer": None,
        }
    ],
    "reasons": _REASONS,
    "quality": "tested",
    "note": "Better than the base rate.",
    "next_product": {"product_id": "P4", "name": "Service plan", "chance": 0.31},
}
_NO_FIGURES: Example = {"figures": {}}
_ACCURACY: Example = {
    "deals": {
        "as_ofs": 4,
        "figures": {"brier": 0.11},
        "bins": [{"forecast": 0.2, "realised": 0.23, "low": 0.15, "high": 0.33, "rows": 84}],
    },
    "reps": _NO_FIGURES,
    "teams": _NO_FIGURES,
}
ACCURACY: Example = {
    "issued": {"kind": "issued", **_ACCURACY},
    "reconstructed": {"kind": "reconstructed", **_ACCURACY},
}
IN_USE: Example = {"what": "win", "version": "4"}
MODELS: Example = {
    "versions": [
        {
            "what": "win",
            "version": "4",
            "made_at": "2026-02-27T03:00:00Z",
            "in_use": True,
            "verdict": "Better than version 3 on deals neither had seen.",
            "metrics": {"log_loss": 0.48},
        }
    ]
}
JOB: Example = {
    "job_id": 12,
    "kind": "train",
    "state": "done",
    "done": 1.0,
    "text": "win 4 in use",
    "asked_by": 1,
    "asked_how": "user",
    "asked_at": "2026-03-01T09:00:00Z",
    "started_at": "2026-03-01T09:00:01Z",
    "ended_at": "2026-03-01T09:02:10Z",
    "attempt": 1,
    "stopping": False,
    "params": {"what": "win", "trials": 12},
    "result": {"models": [{"what": "win", "version": "4", "in_use": True}], "missing": {}, "score_job": 13},
}
GUESS: Example = {
    "crm": "Salesforce",
    "yaml": "name: Salesforce\ntables:\n  - table: deals\n    file: opportunities.csv\n    columns: ...\n",
    "columns": [
        {
            "table": "deals",
            "file": "opportunities.csv",
            "column": "stage",
            "source": ["StageName"],
            "sure": "known",
            "why": "Salesforce's name for it",
            "others": [],
        }
    ],
    "unknown": [],
}
IMPORT: Example = {
    "import_id": 14,
    "state": "done",
    "dry_run": False,
    "done": 1.0,
    "text": "rows taken: 1,200, refused: 3",
    "asked_at": "2026-03-01T09:00:00Z",
    "ended_at": "2026-03-01T09:00:20Z",
    "report": {
        "taken": 1200,
        "refused": 3,
        "tables": {"deals": {"read": 1203, "new": 40, "changed": 12, "unchanged": 1148, "refused": 3, "gone": 0}},
        "score_job": 15,
    },
}
IMPORTS: Example = {"imports": [{**IMPORT, "report": None}], "next_before": None}
REFUSED: Example = {
    "refused": [
        {
            "table": "deals",
            "file": "deals.csv",
            "row": 17,
            "column": "amount",
            "value": "12,5x",
            "reason": "is no number",
            "mend": "Write it with digits and a decimal point.",
        }
    ],
    "total": 1,
}
JOBS: Example = {
    "working": True,
    "steps": [{"name": "scores", "state": "running", "done": 0.4, "text": "Next steps"}],
    "jobs": [{**JOB, "result": None}],
    "next_before": None,
}
_RANGE: Example = {"value": 0.098, "low": 0.04, "high": 0.156}
_TRIAL: Example = {
    "shown": 900, "held_back": 100, "known": 640,
    "difference": {"value": 0.02, "low": -0.11, "high": 0.15}, "proves": False, "more_needed": 21800,
}  # fmt: skip
EFFECTS: Example = {
    "until": AS_OF,
    "horizon_weeks": 18,
    "compared": "week",
    "hold_back": 0.1,
    "trial": _TRIAL,
    "effects": [
        {
            "action": "involve_decision_maker",
            "part": "first",
            "basis": "adjusted",
            "reason": "passed",
            "why": "Compared with like deals without it, and it stood every check.",
            "repeat": "not_known",
            "control": False,
            "rows": 5212,
            "treated_rows": 364,
            "treated_deals": 364,
            "causes": 364,
            "stages": ["Discovery", "Solution"],
            "ranges": {"plain": _RANGE, "adjusted": _RANGE, "placebo_later": None},
            "shares": {"overlap": 0.99, "process_share": 0.38, "placebo_share": 0.0},
            "parts": [
                {
                    "dimension": "segment", "level": "small", "rows": 1500, "treated_rows": 90, "own": _RANGE,
                    "shrunk": 0.09,
                }
            ],
            "trial": _TRIAL,
            "to_be_measured": "To be measured it takes about 22,000 more outcomes.",
            "more_needed": 21800,
        }
    ],
}  # fmt: skip
TOKEN: Example = {"token": "Jm1x...shown-once"}
AUDIT: Example = {
    "entries": [
        {
            "audit_id": 12,
            "at": AS_OF,
            "who": "ann@example.com",
            "what": "export",
            "detail": {"route": "/api/v1/deals", "query": "format=csv"},
        }
    ],
    "next_cursor": "12",
}
USER: Example = {
    "user_id": 7,
    "email": "bo@example.com",
    "role": "rep",
    "rep_id": "R-5",
    "active": True,
    "has_password": False,
    "made_at": AS_OF,
    "ended_at": None,
}
USERS: Example = {"total": 1, "users": [USER]}
LINK: Example = {"link": "https://bellwether.example.com/password/q8Zs...works-once"}
NEW_USER: Example = {"user": USER, **LINK}
_KEPT_TOKEN: Example = {
    "token_id": 3,
    "name": "nightly export",
    "scopes": ["read"],
    "made_at": AS_OF,
    "ends_at": "2026-05-30T12:00:00Z",
    "used_at": None,
    "revoked_at": None,
}
TOKENS: Example = {"tokens": [_KEPT_TOKEN]}
NEW_TOKEN: Example = {"token": "bw_Jm1x...shown-once", "kept": _KEPT_TOKEN}
ME: Example = {"name": "ann@example.com", "role": "manager", "rep_id": "R-2", "signed_in": True}
TAKEN: Example = {"records": 1}
HEALTH: Example = {"status": "ok", "sample": False, "as_of": "2026-03-01T12:00:00+00:00"}
