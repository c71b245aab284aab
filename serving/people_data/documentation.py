"""The page docs/people-data.md, written from the catalogue of figures on persons, the settings and the purposes.

`python -m serving.people_data.documentation docs` writes it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from crm.company import PURPOSES, People
from features.lineage import by_table
from serving.people_data.catalogue import USES, PersonFigure, Use, person_figures

_HEAD = """# Figures on persons

What Bellwether works out on the people who sell: from which columns, for what, who sees it, how long it is kept. This
page is written from the same catalogue that each person sees with the own values under *What is known about me*.

## Who sees what

`people.level` in [company.yaml](company.md) is the finest level that is shown; a new company starts at `{level}`.

| level | a person sees | the managers above see | analysts and administrators see |
| --- | --- | --- | --- |
| `person` | the own figures | each person in the teams below, and these teams | everybody |
| `team` | the own figures | the own figures, and teams of enough people | teams of enough people |
| `off` | no figures on anybody | teams of enough people | teams of enough people |

Figures on a person are forecast and attainment with its odds, comparisons, reasons that say what is owed to who works
on a deal, scores of coaching. The rule stands in one place that API, pages, files and the command line go through; what
may not be seen answers like what does not exist. Deals are no figures on persons: who may see a deal sees its owner at
every level, and can add deals up.

**Small groups.** Below `person`, a team's figures are shown only if at least `people.min_group` ({least}) people add to
them, the reader not counted. A team that is large enough is withheld too where the figures of fewer people could be
found by taking shown teams off one another: of the teams beside a small one, the smallest hides with it. Only today's
figures are compared with each other; who keeps yesterday's and knows who changed teams since may still learn something.

## What for

Uses are {purposes}. Each is off until an administrator records who agreed and when (`bellwether people agree`, or
`PUT /api/v1/purposes/...`), and off again once that is withdrawn; both stay on record. `people.purposes` in
company.yaml can close a use for good.

## How long

Forecasts on persons, notes of who looked, answered requests, answers on suggestions and entries of the audit are taken
out once they are older than `people.keep_months` ({months}) months: `bellwether people tidy`, every night. A sealed
forecast that is taken out leaves its place in the ledger's chain. Scores of the last five runs are kept; features are
worked out when needed. The CRM's own data stays as long as the CRM delivers it.

## What a person can do

- See all of this with values, rows and who looked; comment, ask for a correction, object: *What is known about me*, or
  `GET /api/v1/people/me`. Administrators see each request until it is answered.
- Get everything as a ZIP of JSON and CSV: `GET /api/v1/people/me/export`; for others, `bellwether people export`.
- Be erased: `bellwether people erase`, or `DELETE /api/v1/people/...`. Name, addresses, sign-in and written words go,
  the next import does not bring them back, and counts stay under a key that leads nowhere. What a company wrote into
  keys or columns `x_*` of its own is not found; nor are backups of the store's server.

## What is never worked out

No figure is made from age, sex, health, family or the reason of an absence: no table has a column for these. Days away
are counted as days alone. No model forecasts whether a person leaves.
"""


def as_markdown() -> str:
    """The whole page."""
    people, figures = People(), person_figures()
    head = _HEAD.format(
        level=people.level, least=people.min_group, months=people.keep_months, purposes=", ".join(PURPOSES)
    )
    parts = [_section(use, [one for one in figures if one.use == use]) for use in USES]
    return "\n".join([head, "## Every figure", *parts])


def _section(use: Use, figures: list[PersonFigure]) -> str:
    rows = "\n".join(_row(one) for one in figures)
    return f"\n### {_title(use)}\n\n| figure | says | unit | from |\n| --- | --- | --- | --- |\n{rows}"


def _title(use: Use) -> str:
    said = USES[use][0]
    return said[0].upper() + said[1:]


def _row(one: PersonFigure) -> str:
    reads = (by_table(one.rests_on) or "the calendar") if one.entity else one.rests_on[0]
    return f"| `{one.name}` | {one.en} / {one.zh} | {one.unit} | {reads} |"


def write_page(folder: Path) -> None:
    """Write the page into a folder."""
    (folder / "people-data.md").write_text(as_markdown() + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
