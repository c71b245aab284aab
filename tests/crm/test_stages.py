"""The order of stages: set by the company, else read from the log, else from the age of open deals."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from crm.company import Company
from crm.stages import stage_order
from tests.builders import a_change, a_deal, view_of

NONE_SET = Company()


def moved(deal_id, *stages, **values):
    """A deal that passed these stages, one a day from 6 January on, and its log."""
    deal = a_deal(deal_id, stage=stages[-1], **values)
    log = [
        a_change(deal_id, "stage", old, new, f"2026-01-{6 + n:02d}T10:00Z")
        for n, (old, new) in enumerate(pairwise(stages))
    ]
    return deal, log


def view_of_moves(*moves):
    return view_of(deals=[deal for deal, _ in moves], deal_changes=[line for _, log in moves for line in log])


def test_the_company_has_the_last_word():
    company = Company(stages={"*": ["Z", "A"]})
    assert stage_order(view_of_moves(moved("d1", "A", "Z")), company) == {"*": ["Z", "A"]}


def test_the_log_gives_the_order():
    view = view_of_moves(moved("d1", "Meet", "Demo"), moved("d2", "Demo", "Bid"), moved("d3", "Meet", "Bid"))
    assert stage_order(view, NONE_SET) == {"*": ["Meet", "Demo", "Bid"]}


def test_a_step_back_counts_the_first_entry_only():
    view = view_of_moves(moved("d1", "Meet", "Demo", "Meet", "Demo"), moved("d2", "Meet", "Demo", "Meet"))
    assert stage_order(view, NONE_SET) == {"*": ["Meet", "Demo"]}


def test_the_majority_decides():
    view = view_of_moves(moved("d1", "A", "B"), moved("d2", "B", "A"), moved("d3", "B", "A"))
    assert stage_order(view, NONE_SET) == {"*": ["B", "A"]}


def test_what_a_deal_becomes_by_closing_is_no_stage():
    won = moved("d1", "Meet", "Demo", "Closed won", outcome="won", closed_at="2026-01-07T10:00Z")  # the second move
    assert stage_order(view_of_moves(won, moved("d2", "Meet", "Demo")), NONE_SET) == {"*": ["Meet", "Demo"]}


def test_each_pipeline_has_its_own_order():
    view = view_of_moves(
        moved("d1", "A", "B", pipeline="new"), moved("d2", "B", "A", pipeline="partner"), moved("d3", "C")
    )
    assert stage_order(view, NONE_SET) == {"*": ["C"], "new": ["A", "B"], "partner": ["B", "A"]}


def test_without_a_log_the_stage_of_the_youngest_deals_comes_first():
    deals = [
        a_deal("d1", stage="Late", created_at="2025-11-01"),
        a_deal("d2", stage="Early", created_at="2026-01-01"),
        a_deal("d3", stage="Won", created_at="2026-01-02", outcome="won", closed_at="2026-01-03"),
    ]
    assert stage_order(view_of(deals=deals), NONE_SET) == {"*": ["Early", "Late"]}


def test_no_deals_no_stages():
    assert stage_order(view_of(), NONE_SET) == {}


@settings(max_examples=25)
@given(st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=1, max_size=12), st.permutations("VWXYZ"))
def test_deals_that_skip_stages_but_never_go_back_give_the_true_order(passed, names):
    # One deal passes all five, so the true order is the only one that fits; the others skip some of them.
    moves = [moved(f"d{n}", *(names[i] for i in sorted(path))) for n, path in enumerate([set(range(5)), *passed])]
    assert stage_order(view_of_moves(*moves), NONE_SET) == {"*": list(names)}
