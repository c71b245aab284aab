"""Writing forecasts into a CRM's deals: what each field should say, what differs from the last time, and doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import select

from crm.company import Company, WriteBack
from crm.connectors.writing import Value, Writer
from crm.errors import NotReady
from features.catalogue import OTHERS
from serving.format import Formats
from serving.home import Home
from serving.i18n import language
from serving.pages import words
from serving.scores import ScoreBook, Scores
from serving.store import Store
from serving.tables.crm import WrittenBack

_REASONS = 3
_SHOWN = 200  # deals whose changes a job keeps to be looked at
_LONGEST = 255  # of a text: what a one-line field of any of these CRMs takes
Tell = Callable[[str, float | None], None]
Fields = dict[str, Value]


class WriteBackOff(NotReady):
    """Nothing is to be written into this CRM."""

    def __init__(self, crm: str) -> None:
        super().__init__(
            "Nothing is written into {crm}: company.yaml names no fields for it. Add, with fields of your own: "
            "write_back: {{{crm}: {{win_probability: FIELD, reasons: FIELD, next_step: FIELD}}}}.",
            crm=crm,
        )


@dataclass(slots=True)
class WriteReport:
    """What was written, or would be: fields by deal, and what the CRM refused.

    Parameters
    ----------
    changes : dict
        Fields that differ from what was last written, by deal.
    same : int
        Deals with nothing new.
    written : int
        Deals that the CRM took.
    refused : dict of str to str
        Problem by deal.
    """

    changes: dict[str, Fields]
    same: int
    written: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        """The report as JSON: the first changes by deal, and how many there are."""
        shown = {deal: _words(fields) for deal, fields in list(self.changes.items())[:_SHOWN]}
        problems = dict(Counter(self.refused.values()).most_common())
        counts = {"changed": len(self.changes), "same": self.same, "written": self.written}
        return {**counts, "changes": shown, "refused": problems}

    def lines(self, dry_run: bool) -> list[str]:
        """The report as lines to read."""
        if dry_run:
            shown = [f"{deal}: {_said(fields)}" for deal, fields in list(self.changes.items())[:20]]
            more = [f"… and {len(self.changes) - 20:,} more"] if len(self.changes) > 20 else []
            return [*shown, *more, f"{len(self.changes):,} deals would be written, {self.same:,} have nothing new"]
        problems = Counter(self.refused.values())
        out = [f"refused {n:,}: {text}" for text, n in problems.most_common()]
        return [*out, f"{self.written:,} deals written, {self.same:,} had nothing new"]


def _words(fields: Mapping[str, Value]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in fields.items()}


def write_back(
    home: Home, store: Store, crm: str, writer: Writer, *, dry_run: bool, tell: Tell = lambda text, done: None
) -> WriteReport:
    """Write what the newest scores say into a CRM's deals, where it differs from what was last written.

    Suggestions that chance holds back are not in the scores and so are not written, and nothing that company.yaml keeps
    back about persons. What the CRM has taken is noted after each piece: a run that dies writes little twice.

    Parameters
    ----------
    crm : str
        The CRM's name under `write_back` in company.yaml.
    dry_run : bool
        Only work out what would be written; fields are checked all the same.

    Raises
    ------
    WriteBackOff
        If company.yaml names no fields for this CRM.
    NoSuchField
        If the CRM has one of them not, or of another kind.
    NoScores
        If nothing was scored.
    """
    company = home.company()
    wish = company.write_back.get(crm)
    if wish is None:
        raise WriteBackOff(crm)
    numbers = [wish.win_probability] if wish.win_probability else []
    writer.check(numbers, [f for f in (wish.reasons, wish.next_step) if f])
    scores = ScoreBook(home.scores, home.lake).newest(company).seen_at_machine(company.people)
    last = _last(store, crm)
    report = _differences(wished_fields(scores, wish, company, last), last)
    if dry_run:
        return report
    for piece in _noted(store, crm, report.changes):
        _write(writer, piece, report, store, crm)
        tell(f"{report.written:,} of {len(report.changes):,} deals", report.written / max(1, len(report.changes)))
    return report


def wished_fields(
    scores: Scores, wish: WriteBack, company: Company, last: Mapping[str, Fields] | None = None
) -> dict[str, Fields]:
    """What the fields of each scored deal and lead should say.

    Parameters
    ----------
    last : mapping, optional
        What was last written: a step keeps its day while it stays the same and the day is not over.
    """
    rated = pd.concat([scores.frames[n] for n in ("deals", "leads") if n in scores.frames] or [scores.frame("deals")])
    lang = language(wish.language)
    now = scores.as_of or datetime.now(UTC)
    formats = Formats(lang, company.base_currency, company.zone, now)
    found: dict[str, Fields] = {str(deal): {} for deal in rated["deal_id"]}
    if wish.win_probability:
        for deal, chance in zip(rated["deal_id"], rated["win_probability"], strict=True):
            value = round(float(chance), 2)
            found[deal][wish.win_probability] = value if wish.probability_as == "fraction" else round(value * 100)
    if wish.reasons:
        texts = _reasons(scores, formats, company)
        for deal, fields in found.items():
            fields[wish.reasons] = texts.get(deal)
    if wish.next_step:
        steps, before = _steps(scores, formats, company), last or {}
        for deal, fields in found.items():
            said = before.get(deal, {}).get(wish.next_step)
            fields[wish.next_step] = steps[deal].text(formats, said) if deal in steps else None
    return found


@dataclass(frozen=True, slots=True)
class _Step:
    """A next step and the days within which it is due."""

    what: str
    days: int

    def text(self, formats: Formats, said: Value) -> str:
        """The step with its day; what was said before stays while it is the same step and its day is not over."""
        today = formats.now.astimezone(formats.zone).date()
        for ahead in range(self.days + 1):
            text = self._by(formats, today + timedelta(days=ahead))
            if text == said:
                return text
        return self._by(formats, today + timedelta(days=self.days))

    def _by(self, formats: Formats, day: date) -> str:
        return _short(formats.language.say("{what} by {day}", what=self.what, day=formats.date(day)))


def _reasons(scores: Scores, formats: Formats, company: Company) -> dict[str, str]:
    """The largest reasons of each deal, each with + or − for raising or lowering the chance."""
    rows = scores.frames.get("reasons", pd.DataFrame(columns=["entity", "entity_id", "feature", "contribution"]))
    rows = rows[(rows["entity"] == "deal") & (rows["feature"] != OTHERS.name)]
    order = rows["contribution"].abs().sort_values(ascending=False, kind="stable").index
    top = rows.loc[order].groupby("entity_id", sort=False).head(_REASONS)
    texts: dict[str, list[str]] = {}
    for row in top.to_dict("records"):
        said, _ = words.reason(formats, "deal", company, row["feature"], row["value"], row["text"])
        texts.setdefault(row["entity_id"], []).append(f"{'+' if row['contribution'] >= 0 else '−'} {said}")
    return {deal: _short("; ".join(lines)) for deal, lines in texts.items()}


def _steps(scores: Scores, formats: Formats, company: Company) -> dict[str, _Step]:
    """The first suggestion of each deal."""
    advice = scores.frames.get("advice", pd.DataFrame(columns=["deal_id", "rank", "action", "due_in_days"]))
    first = advice[advice["action"] != "pause"].sort_values("rank", kind="stable").drop_duplicates("deal_id")
    actions = [words.action(formats.language, str(action), company) for action in first["action"]]
    return {
        str(deal): _Step(what, int(days))
        for deal, what, days in zip(first["deal_id"], actions, first["due_in_days"].fillna(0), strict=True)
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _differences(wished: Mapping[str, Fields], last: Mapping[str, Fields]) -> WriteReport:
    changes: dict[str, Fields] = {}
    for deal, fields in wished.items():
        before = last.get(deal, {})
        # A field that was never written and has nothing to say stays as the CRM has it.
        new = {n: v for n, v in fields.items() if (n in before or v is not None) and before.get(n) != v}
        if new:
            changes[deal] = new
    return WriteReport(changes, same=len(wished) - len(changes))


def _last(store: Store, crm: str) -> dict[str, Fields]:
    with store.reading() as session:
        rows = session.execute(select(WrittenBack.deal_id, WrittenBack.fields).where(WrittenBack.crm == crm)).all()
    return {deal: dict(fields) for deal, fields in rows}


def _noted(store: Store, crm: str, changes: Mapping[str, Fields]) -> Iterator[Mapping[str, Fields]]:
    """Changes in pieces, so that what the CRM took is noted soon."""
    deals = list(changes)
    for start in range(0, len(deals), 200):
        yield {deal: changes[deal] for deal in deals[start : start + 200]}


def _write(writer: Writer, piece: Mapping[str, Fields], report: WriteReport, store: Store, crm: str) -> None:
    taken: list[str] = []
    try:
        for told in writer.write(piece):
            if told.problem:
                report.refused[told.deal_id] = told.problem
            else:
                taken.append(told.deal_id)
    finally:
        _note(store, crm, {deal: piece[deal] for deal in taken})
        report.written += len(taken)


def _note(store: Store, crm: str, taken: Mapping[str, Fields]) -> None:
    now = datetime.now(UTC)
    with store.session() as session:
        for deal, fields in taken.items():
            row = session.get(WrittenBack, (crm, deal))
            if row is None:
                session.add(WrittenBack(crm=crm, deal_id=deal, fields=fields, written_at=now))
            else:
                row.fields, row.written_at = {**row.fields, **fields}, now


def _said(fields: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in fields.items())
