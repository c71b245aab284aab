"""Refusals, the placebo's correction, the basis, many claims at once, repeats, evidence put together."""

import numpy as np
import pytest

from models.effects_estimate import Mean
from models.effects_rules import (
    Corrected,
    Counts,
    Evidence,
    Known,
    Placebo,
    agree,
    basis_of,
    believed,
    corrected,
    discoveries,
    from_history,
    is_process_step,
    repeat_of,
    too_few,
)

GOOD = Evidence(
    linear=Mean(0.10, 0.02), trees=Mean(0.11, 0.02), trimmed=Mean(0.10, 0.02),
    corrected=Corrected(0.1, Mean(0.09, 0.02), 0.01), overlap=0.9, process=0.3, after_move=0.1,
)  # fmt: skip


def but(**values):
    from dataclasses import replace

    return replace(GOOD, **values)


@pytest.mark.parametrize(
    ("evidence", "basis", "reason"),
    [
        (GOOD, "adjusted", "passed"),
        (but(process=0.95), "none", "process_step"),
        (but(process=0.7), "association", "near_stage"),
        (but(after_move=0.7), "association", "after_move"),
        (but(corrected=Corrected(0.6, Mean(0.2, 0.01), 0.01)), "association", "placebo"),
        # Nothing shows soon: all of it may be hidden.
        (but(corrected=Corrected(np.nan, Mean(0.09, 0.02), 0.09)), "association", "quiet"),
        (but(corrected=Corrected(np.nan, Mean(0.02, 0.02), 0.02)), "association", "holds_zero"),
        # .09 - 1.645 * .02 = .057 is above 0, with an allowance of .06 it is not.
        (but(corrected=Corrected(0.1, Mean(0.09, 0.02), 0.06)), "association", "holds_zero"),
        # One standard error is .02.
        (but(trees=Mean(0.13, 0.02)), "association", "learners_differ"),
        (but(overlap=0.5, trimmed=Mean(0.20, 0.02)), "association", "no_overlap"),
        (but(overlap=0.5), "adjusted", "passed"),
        # Harm is never claimed.
        (but(corrected=Corrected(0.0, Mean(-0.2, 0.01), 0.0)), "association", "looks_lower"),
    ],
)
def test_the_basis(evidence, basis, reason):
    assert basis_of(evidence) == (basis, reason)


def test_a_claim_needs_a_hundred_rows_fifty_deals_and_twenty_causes():
    assert not too_few(Counts(100, 50, 20))
    assert too_few(Counts(99, 50, 20))
    assert too_few(Counts(100, 49, 20))
    assert too_few(Counts(100, 50, 19))


def test_a_step_that_moves_the_stage_nine_times_of_ten_is_part_of_it():
    assert is_process_step(0.91)
    assert not is_process_step(0.9)


def test_half_of_a_link_that_next_weeks_action_shows_too_is_taken_off():
    found = corrected(Mean(0.10, 0.02), [Placebo(now=Mean(0.20, 0.03), later=Mean(0.10, 0.04))])
    assert found.share == pytest.approx(0.5)
    assert found.mean.value == pytest.approx(0.05)
    # (1 - .5)^2 .02^2 + .10^2 ((.04 / .2)^2 + (.5 * .03 / .2)^2)
    assert found.mean.se == pytest.approx(np.sqrt(0.25 * 0.0004 + 0.01 * (0.04 + 0.005625)))
    assert found.bias == pytest.approx(0.05)
    assert found.low == pytest.approx(0.05 - 1.645 * found.mean.se - 0.05)


def test_the_placebo_never_raises_a_claim():
    assert corrected(Mean(0.1, 0.02), [Placebo(Mean(0.2, 0.03), Mean(-0.1, 0.04))]).mean.value == 0.1
    assert corrected(Mean(0.1, 0.02), [Placebo(Mean(0.2, 0.03), Mean(0.5, 0.04))]).mean.value == 0


def test_several_placebos_count_by_their_certainty():
    sure, rough = Placebo(Mean(0.2, 0.02), Mean(0.1, 0.02)), Placebo(Mean(0.2, 0.2), Mean(0.0, 0.2))
    both = corrected(Mean(0.1, 0.02), [rough, sure])
    assert 0.45 < both.share < 0.5
    alike = corrected(Mean(0.1, 0.02), [Placebo(Mean(0.2, 0.02), Mean(0.02, 0.02)), sure])
    assert alike.share == pytest.approx(0.3, abs=1e-9)  # (.02 + .1) / (.2 + .2)


def test_weak_links_leave_doubt_and_none_at_all_leaves_all_of_it():
    # One error wide: k may be anything from 0 to 1, so the effect may be all hidden.
    weak = corrected(Mean(0.1, 0.02), [Placebo(Mean(0.03, 0.03), Mean(0.0, 0.03))])
    assert weak.share == 0
    assert weak.mean.se == pytest.approx(np.hypot(0.02, 0.1 * 0.5))
    none = corrected(Mean(0.1, 0.02), [Placebo(Mean(-0.03, 0.03), Mean(0.0, 0.03))])
    assert np.isnan(none.share)
    assert none.mean == Mean(0.1, 0.02)
    assert none.low < 0 < none.high


def test_estimates_agree_within_one_error():
    assert agree(Mean(0.10, 0.02), Mean(0.12, 0.02))
    assert not agree(Mean(0.10, 0.02), Mean(0.121, 0.02))


def test_of_many_claims_those_stand_that_benjamini_and_hochberg_let_stand():
    # One-sided p of z = 3.29, 1.96, 1.64, 1, -2.17: .0005, .025, .05, .159, .985; limits .02, .04, .06, .08, .1.
    means = [Mean(1.0, 1.0), Mean(3.29, 1.0), Mean(1.96, 1.0), Mean(1.645, 1.0), Mean(-2.17, 1.0)]
    assert discoveries(means).tolist() == [False, True, True, True, False]
    # Among twenty with nothing behind them 1.96 does not stand: .025 > .1 * 1 / 21.
    assert not discoveries([Mean(1.96, 1.0), *[Mean(0.1, 1.0)] * 20]).any()
    assert discoveries([]).tolist() == []


def test_repeats():
    first = Mean(0.10, 0.02)
    assert repeat_of(first, None) == "not_known"
    assert repeat_of(first, Mean(0.00, 0.02)) == "only_first"  # up to .033, below half of .10
    assert repeat_of(first, Mean(0.02, 0.03)) == "not_known"  # up to .069
    assert repeat_of(first, Mean(0.08, 0.02)) == "same_rules"


def test_evidence_is_weighted_by_its_certainty():
    # Prior N(0, .03^2) and history of .06 with variance .0009: halfway.
    found = believed(Known(0.06, 0.0005, 0.0004), None)
    assert found.mean == pytest.approx(0.03)
    assert found.variance == pytest.approx(0.00045)
    assert believed(None, None).mean == 0
    # With a trial of .03 and the same variance: (0 + .06 + .03) / 3.
    assert believed(Known(0.06, 0.0009), Known(0.03, 0.0009)).mean == pytest.approx(0.03)


def test_history_that_a_trial_contradicts_is_dropped():
    # 2 sqrt(.0001 + .0001) = .028 < .10
    found = believed(Known(0.10, 0.0001), Known(0.0, 0.0001))
    assert found.dropped
    assert found.mean == 0
    assert not believed(Known(0.028, 0.0001), Known(0.0, 0.0001)).dropped


def test_bias_of_an_adjusted_effect_stays_however_much_history_there_is():
    found = from_history(0.08, 0.0, 0.02)
    assert found.variance == pytest.approx(0.02**2 + 0.02**2)
