"""All rules of the register, in the order they are looked at."""

from __future__ import annotations

from planning.risk_customers import key_accounts, product_slumps, renewals_unattended, rivals
from planning.risk_data import quiet_people, quiet_tables
from planning.risk_deals import concentrations, discounts, single_contacts, slipping, stalled
from planning.risk_grades import unhappy_customers
from planning.risk_market import currencies, market_downturns
from planning.risk_people import departures, overloads, teams_that_lose_people
from planning.risk_targets import coverage_gaps, targets_missed
from planning.risk_work import forecast_biases, held_up_work
from planning.risks import Rule

RULES: tuple[Rule, ...] = (
    targets_missed, coverage_gaps, key_accounts, departures, teams_that_lose_people, overloads, concentrations, stalled,
    slipping, single_contacts, discounts, rivals, product_slumps, renewals_unattended, unhappy_customers,
    market_downturns, currencies, forecast_biases, held_up_work, quiet_tables, quiet_people,
)  # fmt: skip
