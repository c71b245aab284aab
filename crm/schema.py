"""The canonical tables: columns, types, units, keys, references, and when each value is known.

The importer's checks, the lake's Arrow schemas, the JSON Schema and the documentation page all come from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import pyarrow as pa

Type = Literal["key", "text", "word", "time", "date", "money", "number", "integer"]
Known = Literal["creation", "changes", "event", "later"]

ARROW_TYPES: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "key": pa.string(),
        "text": pa.string(),
        "word": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "money": pa.decimal128(18, 2),
        "number": pa.float64(),
        "integer": pa.int64(),
    }
)
TYPE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "key": "an identifier",
        "text": "text",
        "word": "a word",
        "time": "a time such as 2026-02-28T14:05:00Z, or a date",
        "date": "a date such as 2026-02-28",
        "money": "an amount such as 1234.56",
        "number": "a number such as 0.5",
        "integer": "a whole number",
    }
)
SEQUENCE = "_seq"  # order of arrival in the lake; breaks ties between events of the same moment
PERSON_KEY = "person_key"  # stands in the lake where a file has a person's name or address


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a canonical table.

    Parameters
    ----------
    name, doc : str
        Name in files and lake; what it means.
    type : Type
        `key` (string identifier), `text`, `word` (one of `words`), `time` (UTC), `date` (calendar day),
        `money` (two decimals), `number`, `integer`.
    known : Known
        `creation`: fixed when the row is made (unless `deal_changes` logs the field).
        `changes`: state; its past is rebuilt from `deal_changes` and otherwise unknown.
        `event`: known from the row's own clock on. `later`: filled in at some later time that is not recorded.
    personal : bool
        Kept outside the lake, under the row's person key.
    """

    name: str
    type: Type
    doc: str
    required: bool = False
    known: Known = "event"
    words: tuple[str, ...] = ()
    refers: str | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One canonical table; `clock` is the SQL expression that says when a row was known."""

    name: str
    doc: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    absent: str
    clock: str | None = None
    custom: bool = False
    by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", MappingProxyType({c.name: c for c in self.columns}))

    @property
    def personal(self) -> tuple[str, ...]:
        """Columns whose values never enter the lake."""
        return tuple(c.name for c in self.columns if c.personal)

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that every row must fill."""
        return tuple(c.name for c in self.columns if c.required)


KINDS = ("new", "expansion", "renewal", "lead")
OUTCOMES = ("won", "lost", "open")
ACTIVITY_KINDS = ("email", "call", "meeting", "demo", "proposal", "visit", "note", "task")
SENIORITIES = ("staff", "manager", "director", "vp", "c-level")
OWNER_KINDS = ("company", "team", "rep")
METRICS = (
    "bookings",
    "won_deals",
    "conversion_rate",
    "retention_rate",
    "activities",
    "new_accounts",
    "customer_satisfaction",
    "market_share",
    "collected",
)
OWN_GOAL = "bw-"
"""How the keys of goals begin that were set in Bellwether; each version of one has a row of its own."""
RATIO_METRICS = ("conversion_rate", "retention_rate", "customer_satisfaction", "market_share")
CHANGE_SOURCES = ("crm", "difference")
SHARE_METRICS = ("conversion_rate", "retention_rate", "market_share")
"""Metrics between 0 and 1; the others of RATIO_METRICS are mean grades."""
LOGGED_FIELDS = ("stage", "amount", "close_date", "owner_id", "forecast_category")


def _key(name: str, doc: str, refers: str | None = None, *, required: bool = True, known: Known = "creation") -> Column:
    return Column(name, "key", doc, required=required, refers=refers, known=known)


def _maybe(name: str, refers: str, doc: str, known: Known = "creation") -> Column:
    return _key(name, doc, refers, required=False, known=known)


def _currency(doc: str = "ISO 4217 code; the company's base currency where empty") -> Column:
    return Column("currency", "text", doc, known="creation")


def _recorded() -> Column:
    return Column("recorded_at", "time", "When the row was written down; without it, when it happened")


_TABLES = (
    Table(
        "reps",
        "People who sell or lead those who do.",
        ("rep_id",),
        (
            _key("rep_id", "Identifier of the person in the CRM"),
            Column("name", "text", "Full name", required=True, personal=True),
            Column("email", "text", "Work e-mail address", personal=True),
            _maybe("team_id", "teams", "Team today; past teams stand in team_memberships", known="later"),
            Column("role", "text", "Role, such as rep or manager", known="later"),
            Column("fte", "number", "Share of a full working week", unit="share", low=0, high=1.5, known="later"),
            Column("hired_on", "date", "First working day", known="creation"),
            Column("left_on", "date", "First day no longer employed"),
        ),
        absent="owners are known by their identifier alone: no tenure, no teams",
        custom=True,
    ),
    Table(
        "absences",
        "Days on which a person does not work.",
        ("rep_id", "from"),
        (
            _key("rep_id", "Who is away", "reps"),
            Column("from", "date", "First day away", required=True),
            Column("to", "date", "First day back", required=True),
        ),
        absent="capacity ignores absence",
    ),
    Table(
        "teams",
        "The team tree.",
        ("team_id",),
        (
            _key("team_id", "Identifier of the team"),
            Column("name", "text", "Name of the team", required=True),
            _maybe("parent_team_id", "teams", "Team above", known="later"),
            _maybe("manager_rep_id", "reps", "Who leads the team", known="later"),
        ),
        absent="no team tree: forecasts for persons and the company only",
    ),
    Table(
        "team_memberships",
        "Who was in which team when.",
        ("rep_id", "team_id", "valid_from"),
        (
            _key("rep_id", "Member", "reps"),
            _key("team_id", "Team", "teams"),
            Column("valid_from", "date", "First day in the team", required=True),
            Column("valid_to", "date", "First day no longer in the team"),
        ),
        absent="past teams are taken to be today's",
    ),
    Table(
        "accounts",
        "Customers and prospects.",
        ("account_id",),
        (
            _key("account_id", "Identifier of the customer"),
            Column("name", "text", "Name of the company", known="creation"),
            Column("industry", "text", "Industry", known="creation"),
            Column("segment", "text", "Segment, such as small, mid, enterprise", known="creation"),
            Column("country", "text", "Country", known="creation"),
            Column("region", "text", "Sales region", known="creation"),
            Column("status", "text", "Status today, such as customer or prospect", known="later"),
            Column("employees", "integer", "Number of employees", unit="people", low=0, known="creation"),
            Column(
                "annual_revenue", "money", "Yearly revenue in the base currency", unit="base currency", known="creation"
            ),
            _maybe("owner_id", "reps", "Who looks after the customer today", known="later"),
            Column("created_at", "time", "When the record was made", known="creation"),
        ),
        absent="no segments, no account history by customer",
        clock="created_at",
        custom=True,
    ),
    Table(
        "contacts",
        "People at customers.",
        ("contact_id",),
        (
            _key("contact_id", "Identifier of the contact"),
            _key("account_id", "Customer they work for", "accounts"),
            Column("name", "text", "Full name", personal=True),
            Column("email", "text", "E-mail address", personal=True),
            Column("phone", "text", "Telephone number", personal=True),
            Column("title", "text", "Job title", known="creation"),
            Column("seniority", "word", "Level", words=SENIORITIES, known="creation"),
            Column("created_at", "time", "When the record was made", known="creation"),
            Column("left_at", "time", "When they left the customer"),
        ),
        absent="no seniority: decision makers cannot be told apart",
        clock="created_at",
    ),
    Table(
        "products",
        "What is sold.",
        ("product_id",),
        (
            _key("product_id", "Identifier of the product"),
            Column("name", "text", "Name", known="creation"),
            Column("family", "text", "Product family", known="creation"),
            Column("list_price", "money", "List price of one unit", known="creation"),
            _currency(),
        ),
        absent="no list prices, no product families",
    ),
    Table(
        "deals",
        "Opportunities as they stand in the CRM today; their past is rebuilt from deal_changes.",
        ("deal_id",),
        (
            _key("deal_id", "Identifier of the deal"),
            _maybe("account_id", "accounts", "Customer"),
            _maybe("owner_id", "reps", "Who works on it"),
            _maybe("product_id", "products", "Main product"),
            Column("name", "text", "Name of the deal", known="creation"),
            Column("pipeline", "text", "Which sales process it follows", known="creation"),
            Column("kind", "word", "What sort of deal; new where empty", words=KINDS, known="creation"),
            Column("source", "text", "Where it came from", known="creation"),
            Column("amount", "money", "Value of the deal", unit="currency", known="changes"),
            Column("list_amount", "money", "Value at list price", unit="currency", known="creation"),
            _currency(),
            _maybe("lost_to_account_id", "accounts", "Who won instead", known="later"),
            _maybe("referred_by_account_id", "accounts", "Customer who referred it"),
            Column("stage", "text", "Stage of the pipeline", required=True, known="changes"),
            Column("forecast_category", "text", "The owner's own call, such as commit or pipeline", known="changes"),
            Column("created_at", "time", "When the deal was opened", required=True, known="creation"),
            Column("close_date", "date", "Expected closing day", known="changes"),
            Column("closed_at", "time", "When it was won or lost", known="later"),
            Column("outcome", "word", "How it ended, or open", required=True, words=OUTCOMES, known="later"),
            Column("loss_reason", "text", "Why it was lost", known="later"),
            Column("competitor", "text", "Who else bids", known="later"),
        ),
        absent="nothing to forecast: deals are the one table that must be there for win forecasts",
        clock="created_at",
        custom=True,
    ),
    Table(
        "deal_lines",
        "Products on a deal.",
        ("deal_id", "product_id"),
        (
            _key("deal_id", "Deal", "deals"),
            _key("product_id", "Product", "products"),
            Column("quantity", "number", "Units", low=0, known="later"),
            Column("amount", "money", "Value of the line", known="later"),
        ),
        absent="each deal counts as one product",
    ),
    Table(
        "deal_splits",
        "Who shares the credit of a deal.",
        ("deal_id", "rep_id"),
        (
            _key("deal_id", "Deal", "deals"),
            _key("rep_id", "Who shares", "reps"),
            Column("share", "number", "Part of the credit", required=True, low=0, high=1, known="later"),
        ),
        absent="the owner gets all credit",
    ),
    Table(
        "deal_changes",
        "Log of a deal's fields: what changed, when, from what to what.",
        ("deal_id", "changed_at", "field", "old_value", "new_value"),
        (
            _key("deal_id", "Deal", "deals"),
            Column("changed_at", "time", "When the field changed", required=True),
            Column("field", "text", f"One of {', '.join(LOGGED_FIELDS)} or x_*", required=True),
            Column("old_value", "text", "Value before"),
            Column("new_value", "text", "Value after"),
            Column(
                "source",
                "word",
                "crm: the CRM's own log; difference: found by comparing two syncs, at the record's last change",
                words=CHANGE_SOURCES,
            ),
            _recorded(),
        ),
        absent="the win model uses only fields known at creation, and the deal's age",
        clock="coalesce(recorded_at, changed_at)",
    ),
    Table(
        "activities",
        "Contacts with customers, and notes.",
        ("activity_id",),
        (
            _key("activity_id", "Identifier of the activity"),
            Column("occurred_at", "time", "When it took place", required=True),
            Column("kind", "word", "What it was", required=True, words=ACTIVITY_KINDS),
            Column("direction", "word", "in: from the customer; out: to the customer", words=("in", "out")),
            _maybe("deal_id", "deals", "Deal it belongs to"),
            _maybe("account_id", "accounts", "Customer"),
            _maybe("rep_id", "reps", "Who did it"),
            _maybe("contact_id", "contacts", "With whom"),
            Column("duration_minutes", "number", "Length", unit="minutes", low=0),
            Column("outcome", "text", "What came of it"),
            _recorded(),
        ),
        absent="no activity features: silence, replies and meetings cannot be seen",
        clock="coalesce(recorded_at, occurred_at)",
    ),
    Table(
        "orders",
        "What customers bought, and returned.",
        ("order_id",),
        (
            _key("order_id", "Identifier of the order"),
            _key("account_id", "Customer", "accounts"),
            Column("ordered_at", "time", "When it was placed", required=True),
            Column("amount", "money", "Value; a return counts against sales whatever its sign", required=True),
            _currency(),
            _maybe("product_id", "products", "Product"),
            _maybe("deal_id", "deals", "Deal it came from"),
            _maybe("rep_id", "reps", "Who sold it"),
            Column("kind", "word", "sale where empty", words=("sale", "return")),
            Column("cancelled_at", "time", "When it was cancelled"),
            _recorded(),
        ),
        absent="no order rhythm: churn needs subscriptions instead",
        clock="coalesce(recorded_at, ordered_at)",
    ),
    Table(
        "payments",
        "Money received.",
        ("payment_id",),
        (
            _key("payment_id", "Identifier of the payment"),
            _maybe("order_id", "orders", "Order it pays"),
            _key("account_id", "Customer", "accounts"),
            Column("paid_at", "time", "When it came in", required=True),
            Column("amount", "money", "Value", required=True),
            _currency(),
            _recorded(),
        ),
        absent="collected money cannot be tracked",
        clock="coalesce(recorded_at, paid_at)",
    ),
    Table(
        "subscriptions",
        "Running contracts.",
        ("subscription_id",),
        (
            _key("subscription_id", "Identifier of the contract"),
            _key("account_id", "Customer", "accounts"),
            Column("started_on", "date", "First day of service", required=True),
            Column("ended_on", "date", "First day without service"),
            Column("renews_on", "date", "Next renewal", known="later"),
            Column("quantity", "number", "Seats or units", low=0, known="later"),
            Column("mrr", "money", "Monthly recurring revenue", unit="currency per month", known="later"),
            _currency(),
            _maybe("product_id", "products", "Product"),
        ),
        absent="no contracts: churn is read from orders",
        clock="started_on",
    ),
    Table(
        "tickets",
        "Requests for help.",
        ("ticket_id",),
        (
            _key("ticket_id", "Identifier of the ticket"),
            _key("account_id", "Customer", "accounts"),
            Column("opened_at", "time", "When it was opened", required=True),
            Column("closed_at", "time", "When it was solved"),
            Column("severity", "text", "How bad it is", known="creation"),
            Column("satisfaction", "integer", "Grade after closing, 1 to 5", low=1, high=5, known="later"),
            _recorded(),
        ),
        absent="no service history in churn forecasts",
        clock="coalesce(recorded_at, opened_at)",
    ),
    Table(
        "surveys",
        "Answers of customers.",
        ("response_id",),
        (
            _key("response_id", "Identifier of the answer"),
            _maybe("account_id", "accounts", "Customer"),
            _maybe("rep_id", "reps", "Person asked about"),
            Column("asked_at", "time", "When it was asked", required=True),
            Column("score", "number", "Answer", required=True),
            Column("scale", "text", "Scale, such as nps or 1-5", known="creation"),
            _recorded(),
        ),
        absent="no satisfaction in churn forecasts",
        clock="coalesce(recorded_at, asked_at)",
    ),
    Table(
        "campaigns",
        "Promotions and campaigns.",
        ("campaign_id",),
        (
            _key("campaign_id", "Identifier of the campaign"),
            Column("kind", "text", "What sort", known="creation"),
            _maybe("product_id", "products", "Product promoted"),
            Column("segment", "text", "Segment addressed", known="creation"),
            Column("starts_on", "date", "First day", required=True),
            Column("ends_on", "date", "First day after", required=True),
            Column("cost", "money", "Cost", known="later"),
        ),
        absent="effects of promotions cannot be estimated",
        clock="starts_on",
    ),
    Table(
        "market_sizes",
        "Size of a market in a period.",
        ("segment", "period_start"),
        (
            _key("segment", "Segment"),
            Column("period_start", "date", "First day", required=True),
            Column("period_end", "date", "First day after", required=True),
            Column("size", "money", "Money spent in the market", required=True),
            _currency(),
        ),
        absent="market share cannot be told",
        clock="period_start",
    ),
    Table(
        "goals",
        "Targets of company, teams and reps.",
        ("goal_id",),
        (
            _key("goal_id", "Identifier of the goal"),
            Column("owner_kind", "word", "Whose goal", required=True, words=OWNER_KINDS),
            _key("owner_id", "Team or rep; the word company for the company"),
            Column("metric", "word", "What is counted", required=True, words=METRICS),
            _maybe("product_id", "products", "Only this product"),
            Column("product_family", "text", "Only this family"),
            Column("segment", "text", "Only this segment"),
            Column("period_start", "date", "First day", required=True),
            Column("period_end", "date", "First day after", required=True),
            Column("target", "number", "Value to reach", required=True, low=0),
            _currency(),
            _maybe("parent_goal_id", "goals", "Goal above"),
            _recorded(),
        ),
        absent="no targets: forecasts without a chance to reach them",
        clock="coalesce(recorded_at, period_start)",
    ),
    Table(
        "fx_rates",
        "Daily rates to the base currency.",
        ("currency", "on_date"),
        (
            Column("currency", "text", "ISO 4217 code", required=True),
            Column("on_date", "date", "Day", required=True),
            Column("rate_to_base", "number", "Base currency for one unit", required=True, low=0),
        ),
        absent="amounts in other currencies cannot be converted",
        clock="on_date",
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType({t.name: t for t in _TABLES})


def arrow_schema(table: str, custom: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    """Arrow schema of a table as the lake holds it.

    Parameters
    ----------
    table : str
        Name of a canonical table.
    custom : mapping of str to pa.DataType, optional
        Types of the company's own `x_*` columns.

    Returns
    -------
    pa.Schema
        Canonical columns without personal ones, `person_key` where there are such, custom columns, the sequence.
    """
    spec = TABLES[table]
    fields = [pa.field(c.name, ARROW_TYPES[c.type]) for c in spec.columns if not c.personal]
    if spec.personal:
        fields.append(pa.field(PERSON_KEY, pa.string()))
    fields += [pa.field(name, kind) for name, kind in sorted((custom or {}).items())]
    return pa.schema([*fields, pa.field(SEQUENCE, pa.int64())])


def json_schema(table: str) -> dict[str, object]:
    """JSON Schema (draft 2020-12) of one row of a table as files hold it."""
    spec = TABLES[table]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": table,
        "description": spec.doc,
        "type": "object",
        "required": list(spec.required),
        "properties": {c.name: _property(c) for c in spec.columns},
        "patternProperties": {"^x_": {}} if spec.custom else {},
        "additionalProperties": False,
    }


def _property(column: Column) -> dict[str, object]:
    shape: dict[str, object] = {"description": column.doc, "type": "string"}
    if column.type in ("number", "money"):
        shape["type"] = "number"
    elif column.type == "integer":
        shape["type"] = "integer"
    elif column.type in ("time", "date"):
        shape["format"] = "date-time" if column.type == "time" else "date"
    if column.words:
        shape["enum"] = list(column.words)
    if column.low is not None:
        shape["minimum"] = column.low
    if column.high is not None:
        shape["maximum"] = column.high
    return shape
