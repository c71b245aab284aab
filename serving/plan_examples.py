"""Answers about goals, pace, reports and risks as they may look; a test holds each against its model."""

from __future__ import annotations

from serving.examples import AS_OF, Example

GOAL: Example = {
    "goal_id": "bw-12",
    "source": "here",
    "owner_kind": "team",
    "owner_id": "T-2",
    "metric": "bookings",
    "product_id": None,
    "product_family": None,
    "segment": None,
    "period_start": "2026-01-01",
    "period_end": "2026-04-01",
    "target": 900000.0,
    "currency": None,
    "parent_goal_id": "G-2026-Q1",
    "hides": None,
    "version": 2,
    "recorded_at": AS_OF,
    "ended_at": None,
    "may_change": True,
}
GOALS: Example = {"total": 1, "goals": [GOAL], "next_cursor": None}
_BATCH = "5b0c6f0e8d7a4b1f9c2e3d4a5b6c7d8e"
_GOAL_FIELDS: Example = {"owner_kind": "team", "owner_id": "T-2", "metric": "bookings", "target": 900000.0}
GOAL_HISTORY: Example = {
    "goal_id": "bw-12",
    "changes": [
        {
            "version": 2,
            "at": AS_OF,
            "what": "changed",
            "why": "Two people joined in February.",
            "user_id": 7,
            "before": {**_GOAL_FIELDS, "target": 800000.0},
            "after": _GOAL_FIELDS,
            "batch": _BATCH,
        }
    ],
}
PACE: Example = {
    "as_of": AS_OF,
    "total": 1,
    "goals": [
        {
            "goal_id": "bw-12",
            "owner_kind": "team",
            "owner_id": "T-2",
            "metric": "bookings",
            "product_id": None,
            "product_family": None,
            "segment": None,
            "period": "FY2026-Q1",
            "period_start": "2026-01-01",
            "period_end": "2026-04-01",
            "target": 900000.0,
            "actual": 520000.0,
            "due": 0.65,
            "expected": 585000.0,
            "gap": -65000.0,
            "pace": 0.889,
            "status": "behind",
            "expected_open": 210000.0,
            "uncovered": 170000.0,
            "deals": 11,
            "opportunities": 44,
            "activities": 528,
            "a_day": 25.1,
            "in_time": 90,
            "rate_needed": None,
            "basis": "season of 2 years before; open deals as forecast",
        }
    ],
    "next_cursor": None,
}
UNDONE: Example = {"goals": [GOAL | {"version": 3, "target": 800000.0}]}
SPLIT: Example = {
    "goal_id": "bw-12",
    "target": 900000.0,
    "fairness": 0.93,
    "fairness_word": "good",
    "rows": [
        {
            "owner_kind": "rep",
            "owner_id": "R-5",
            "team_id": "T-2",
            "weight": 58.0,
            "target": 450000.0,
            "today": 400000.0,
            "mean": 431000.0,
            "expected": 0.96,
            "months": {"2026-01": 140000.0, "2026-02": 130000.0, "2026-03": 180000.0},
        }
    ],
    "goals": [],
    "batch": None,
}

REPORT: Example = {
    "name": "velocity",
    "as_of": AS_OF,
    "period": "FY2026-Q1",
    "start": "2026-01-01",
    "end": "2026-03-02",
    "before_start": "2025-10-01",
    "before_end": "2025-11-30",
    "facts": {"now": 6000.0, "before": 6375.0, "change": -0.0588},
    "notes": [],
    "tables": [
        {
            "name": "parts",
            "columns": [{"name": "part", "kind": "text"}, {"name": "now", "kind": "decimal"}],
            "rows": [{"part": "deals", "now": 80.0}, {"part": "win_rate", "now": 0.25}],
        }
    ],
}

RISK: Example = {
    "risk_id": 4,
    "kind": "target_missed",
    "subject_kind": "team",
    "subject_id": "T-3",
    "state": "open",
    "level": "medium",
    "likelihood": 0.4,
    "money": 10000.0,
    "exposed": 105000.0,
    "expected_loss": 4000.0,
    "owner_id": "R-5",
    "note": "",
    "accepted_until": None,
    "opened_at": AS_OF,
    "seen_at": AS_OF,
    "closed_at": None,
    "facts": {"target": 105000.0, "p50": 110000.0, "p_attain": 0.6, "gone": 0.5, "goal_id": "G1"},
    "may_change": True,
}
RISKS: Example = {"as_of": AS_OF, "total": 1, "risks": [RISK]}
RISK_HISTORY: Example = {
    "risk_id": 4,
    "changes": [
        {
            "at": AS_OF,
            "what": "opened",
            "why": "",
            "user_id": None,
            "before": None,
            "after": {"state": "open"},
            "undone": False,
        }
    ],
}
CONTINGENCY: Example = {
    "plan_id": 2,
    "template": "target_missed",
    "subject_kind": "team",
    "subject_id": "T-3",
    "risk_id": 4,
    "state": "started",
    "started_at": AS_OF,
    "closed_at": None,
    "trigger": {"p_attain": 0.12, "gone": 0.5, "kind": "target_missed"},
    "filled": {
        "gap": 40000.0,
        "covered": 36000.0,
        "open": 4000.0,
        "cover": [
            {"deal_id": "D-1042", "what": "call", "gain": 9000.0, "hours": 1.0, "owner_id": "r1", "account_id": "a1"}
        ],
    },
    "filled_at": AS_OF,
    "steps": [
        {"place": 1, "what": "causes", "owner_id": "R-5", "due": "2026-03-02", "state": "open", "note": ""},
    ],
}
CONTINGENCIES: Example = {"plans": [CONTINGENCY]}
REHEARSAL: Example = {
    "rep_id": "R-5",
    "team": {
        "before": {"p10": 80000.0, "p50": 100000.0, "p90": 125000.0, "mean": 101000.0, "p_attain": 0.4},
        "after": {"p10": 60000.0, "p50": 78000.0, "p90": 99000.0, "mean": 79000.0, "p_attain": 0.1},
    },
    "company": None,
}
RESPLIT: Example = {
    "goal_id": "bw-12",
    "target": 900000.0,
    "staff": [
        {
            "key": "leaves R-5 2026-02-16",
            "what": "leaves",
            "rep_id": "R-5",
            "day": "2026-02-16",
            "team_id": "T-2",
            "to_team": None,
            "done": False,
        }
    ],
    "rows": [
        {
            "owner_kind": "rep",
            "owner_id": "R-5",
            "team_id": "T-2",
            "before": 450000.0,
            "after": 225000.0,
            "change": -225000.0,
            "parts": [{"team_id": "T-2", "start": "2026-01-01", "end": "2026-02-16", "target": 225000.0}],
        },
        {
            "owner_kind": "seat",
            "owner_id": "seat:T-2",
            "team_id": "T-2",
            "before": 0.0,
            "after": 225000.0,
            "change": 225000.0,
            "parts": [{"team_id": "T-2", "start": "2026-02-16", "end": "2026-04-01", "target": 225000.0}],
        },
    ],
    "fairness": 0.91,
    "fairness_word": "good",
    "goals": [],
    "batch": None,
}
PLAN_RECORD: Example = {
    "period": "FY2025-Q4",
    "period_start": "2025-10-01",
    "period_end": "2026-01-01",
    "results": [
        {
            "part": "goal",
            "owner_kind": "company",
            "owner_id": "company",
            "metric": "bookings",
            "scope": "",
            "target": 900000.0,
            "result": 870000.0,
            "before": 810000.0,
        }
    ],
    "changes": [
        {
            "kind": "goal",
            "at": AS_OF,
            "owner": "T-2",
            "text": "Two people joined in February.",
            "metric": "bookings",
            "goals": 5,
            "target_before": 800000.0,
            "target_after": 900000.0,
            "p10": 700000.0,
            "p50": 810000.0,
            "p90": 930000.0,
            "over": False,
            "result": None,
        }
    ],
    "surveys": [{"scale": "nps", "answers": 84, "mean": 8.1, "before": 7.9}],
    "competitors": [{"name": "Acme", "won": 6, "lost": 18}],
    "market_share": None,
    "market_share_note": "needs market_sizes",
}
