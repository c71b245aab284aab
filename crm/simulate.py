"""The sample company: seeded, vectorised, with known truth kept apart; `simulate` makes it, `write` puts it into files.

The process, fixed before any model was tuned
---------------------------------------------
Time runs in weeks, Monday to Sunday; the last one ends on the last Sunday up to `end`. Every random number depends on
seed, purpose, object and week alone (`crm.simulation.randomness`), so two runs that differ in one action share all
others.

*People.* Teams of about eight seats in six regions under two divisions. 14 % of reps leave in a year; after 4 to 10
weeks a new rep takes the seat and needs 17 weeks to reach full speed; open deals go to colleagues at once. Skill
(sd 0.6) and style (reserved or active) are the rep's own and hidden. Reps are away in about one week of twenty.

*Market.* Each seat has a territory of accounts (three segments, six industries; territories differ in size). New deals
and leads arrive as Poisson counts: seat, ramp, season (slow August, December, February), campaigns for leads. A deal's
product depends on the segment, its list amount is log-normal (sd 0.75) around a median by segment and product family,
in whole units; Chinese accounts pay in CNY, all others in EUR; the rate walks at random.

*Deals.* A deal has a hidden quality: half the account's fit, its source, the competitor, how product family and
industry match, the need (of which the field `x_need_score` is a noisy reading), luck, and the owner's skill.
`x_form_version` means nothing. Hidden interest (0 to 4) drifts up more often where quality is high. In each week of an
open deal, in this order:
1. the rep acts, by stage, interest, style and presence: e-mails go out above all where interest is low (trouble), calls
   likewise a little, meetings and demos where it is high; customers answer, and write unasked, where interest is high;
2. a meeting with a decision maker (the first one) raises interest by a level with chance 0.85, a meeting 0.10, a call
   0.03; a first demo with 0.70 in the enterprise segment and not at all elsewhere; e-mails, visits, notes and tasks do
   nothing;
3. interest drifts;
4. the deal is won, lost, moves on a stage, skips one, falls back, or stays. Rates depend on kind, stage, interest,
   quality and size (large deals are slower) and on the calendar: wins double in a quarter's last weeks, losses are
   written off in its first one.
Amounts are cut by 3 to 15 % with half of all proposals and drift a little; planned closing days are pushed when they
come up, further for cold deals, or left standing in the past; the rep's own call looks at stage and interest with noise
and a personal bias. A won lead becomes a deal of its account; amounts of leads are not known.

*Customers.* A won platform deal makes a yearly contract (a renewal deal opens 13 weeks before it ends), a service plan
a monthly one, equipment a rhythm of orders. Satisfaction (0 to 4) moves slowly; tickets, above all severe ones that
stay open long, lower it. Customers without a yearly contract leave with a weekly chance of 0.1 to 4.5 %; unhappy ones
order later and less before that. Satisfied ones open expansions.

*Goals* come from territory, season and ramp, never from what was sold.

*Settings.* `no_signal`: closing rates hardly depend on anything but the calendar and size, actions and satisfaction do
nothing. `drifting`: over the history sources reverse their meaning, wins get rarer, losses more frequent, effects fade.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import yaml

from crm.errors import BadInput
from crm.lake import TableView
from crm.schema import PERSON_KEY, TABLES
from crm.simulation.columns import canonical
from crm.simulation.customer_tables import customer_tables
from crm.simulation.deal_tables import deal_tables
from crm.simulation.goals import goals_table
from crm.simulation.history import History, live_through
from crm.simulation.market import BASE_CURRENCY, FAMILIES, OTHER_CURRENCY, PRODUCTS
from crm.simulation.policy import Policy
from crm.simulation.process import STAGES, Setting
from crm.simulation.truth import true_tables

__all__ = ["DEFAULT_END", "Policy", "SampleCompany", "Setting", "lake_view", "simulate", "write"]

DEFAULT_END = date(2026, 11, 20)
"""In the middle of a quarter, so that the quarter's forecast has something left to tell."""
_LEAST_REPS, _LEAST_MONTHS = 2, 6


class BadSample(BadInput):
    """A sample company cannot be made as asked for."""


@dataclass(frozen=True)
class SampleCompany:
    """A made-up company.

    Attributes
    ----------
    tables : dict of str to pa.Table
        Canonical tables as files hold them, personal columns included.
    settings : dict
        What its company.yaml says.
    truth : dict of str to pd.DataFrame
        See `crm.simulation.truth.true_tables`; worked out when first asked for. The product never reads it.
    """

    tables: dict[str, pa.Table]
    settings: dict[str, Any]
    _history: History = field(repr=False)

    @cached_property
    def truth(self) -> dict[str, pd.DataFrame]:
        """What nobody in the company can see."""
        return true_tables(self._history)


def simulate(
    *,
    reps: int = 60,
    months: int = 24,
    seed: int = 0,
    setting: Setting = "default",
    policy: Policy | None = None,
    end: date | None = None,
) -> SampleCompany:
    """Make a sample company; the same arguments give the same rows on every machine.

    Parameters
    ----------
    reps, months : int
        Seats to sell from, and length of the history; 60 and 24 give about 11,500 deals.
    seed : int
        Another seed is another company.
    setting : {'default', 'no_signal', 'drifting'}
        See above.
    policy : Policy, optional
        What reps do differently from a date on. A true effect is the difference to the run without it.
    end : date, optional
        The history ends with the last Sunday up to this day.

    Raises
    ------
    BadSample
        If there are too few reps or months, or the setting is unknown.
    """
    if reps < _LEAST_REPS or months < _LEAST_MONTHS:
        raise BadSample(
            f"A sample company of {reps} reps and {months} months is too small. "
            f"Give at least {_LEAST_REPS} reps and {_LEAST_MONTHS} months."
        )
    if setting not in get_args(Setting):
        raise BadSample(f"Setting '{setting}' is not known. Give one of {', '.join(get_args(Setting))}.")
    history = live_through(reps=reps, months=months, seed=seed, setting=setting, policy=policy, end=end or DEFAULT_END)
    built = _people_tables(history) | deal_tables(history) | customer_tables(history) | _market_tables(history)
    tables = {name: built[name] for name in TABLES}
    return SampleCompany(tables, _settings(), history)


def lake_view(sample: SampleCompany) -> TableView:
    """The sample as the lake would hold it: a key in place of names and addresses."""
    view = {}
    for name, table in sample.tables.items():
        spec = TABLES[name]
        if spec.personal:
            keys = [_person_key(name, person) for person in table.column(spec.key[0]).to_pylist()]
            table = table.drop_columns([c for c in spec.personal if c in table.column_names])
            table = table.append_column(PERSON_KEY, pa.array(keys))
        view[name] = table
    return TableView(view)


def write(sample: SampleCompany, out: Path) -> Path:
    """Write canonical CSV files and company.yaml to `out`, the truth to a folder beside it.

    Returns
    -------
    Path
        The folder of the truth, named as `out` with `-truth` behind; one Parquet file a table.
    """
    truth = out.with_name(out.name + "-truth")
    out.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    for name, table in sample.tables.items():
        pa_csv.write_csv(_as_text(table), out / f"{name}.csv")
    for name, frame in sample.truth.items():
        frame.to_parquet(truth / f"{name}.parquet", index=False)
    text = yaml.safe_dump(sample.settings, allow_unicode=True, sort_keys=False)
    (out / "company.yaml").write_text(text, encoding="utf-8")
    return truth


def _people_tables(history: History) -> dict[str, pa.Table]:
    staff = history.staff
    frames = {
        "reps": staff.reps,
        "teams": staff.teams,
        "team_memberships": staff.memberships,
        "absences": staff.absences,
    }
    return {name: canonical(name, {c: frame[c].tolist() for c in frame}) for name, frame in frames.items()}


def _market_tables(history: History) -> dict[str, pa.Table]:
    market = history.market
    products = PRODUCTS.assign(family=np.array(FAMILIES)[PRODUCTS["family"]], currency=BASE_CURRENCY)
    start = np.datetime64("1970-01-01", "D") + market.first_rate_day
    rates = pd.DataFrame(
        {
            "currency": OTHER_CURRENCY,
            "on_date": (start + np.arange(len(market.rates))).tolist(),
            "rate_to_base": market.rates,
        }
    )
    frames = {
        "products": products,
        "campaigns": market.campaigns,
        "market_sizes": market.market_sizes,
        "goals": goals_table(history),
        "fx_rates": rates,
    }
    return {name: canonical(name, {c: frame[c].tolist() for c in frame}) for name, frame in frames.items()}


def _settings() -> dict[str, Any]:
    return {
        "name": "Sample company",
        "sample": True,
        "base_currency": BASE_CURRENCY,
        "people": {"level": "person"},
        "stages": {"sales": list(STAGES[0]), "renewals": list(STAGES[2]), "leads": list(STAGES[3])},
    }


def _person_key(table: str, person: str) -> str:
    return "p_" + hashlib.sha256(f"{table} {person}".encode()).hexdigest()[:16]


def _as_text(table: pa.Table) -> pa.Table:
    """Times as ISO 8601 with a Z; the rest as Arrow writes it."""
    for place, item in enumerate(table.schema):
        if pa.types.is_timestamp(item.type):
            whole = table.column(place).cast(pa.timestamp("s", tz="UTC"))
            table = table.set_column(place, item.name, pc.strftime(whole, format="%Y-%m-%dT%H:%M:%SZ"))
    return table
