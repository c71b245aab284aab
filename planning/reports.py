"""Reports by name, of the whole company or a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crm.errors import NotFound
from planning.report_customers import customers
from planning.report_funnel import funnel
from planning.report_losses import win_loss
from planning.report_parts import Report
from planning.report_sales import mix, trend, velocity
from planning.sales import Sales, Window

REPORTS: Mapping[str, Callable[[Sales, Window], Report]] = {
    "trend": trend,
    "funnel": funnel,
    "customers": customers,
    "mix": mix,
    "win-loss": win_loss,
    "velocity": velocity,
}


class NoSuchReport(NotFound):
    """There is no report of that name."""

    def __init__(self, name: str) -> None:
        super().__init__("There is no report '{name}'. Known: {reports}.", name=name[:80], reports=", ".join(REPORTS))


class NoSuchTable(NotFound):
    """A report has no table of that name."""

    def __init__(self, report: Report, table: str) -> None:
        known = ", ".join(t.name for t in report.tables)
        super().__init__(
            "The report {name} has no table '{table}'. Known: {known}.", name=report.name, table=table[:80], known=known
        )


def report(name: str, sales: Sales, window: Window) -> Report:
    """One report.

    Raises
    ------
    NoSuchReport
        If there is none of that name.
    """
    make = REPORTS.get(name)
    if make is None:
        raise NoSuchReport(name)
    return make(sales, window)
