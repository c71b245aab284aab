"""The promotion rule: no worse than the champion, on the same deals."""

import numpy as np
import pandas as pd
import pytest

from training.gate import BadPolicy, Policy, first_model, judge, policy_of


def past(champion, challenger, n=400, seed=0):
    """Deals won half the time; each model says so much for those that are won, and the rest for the others."""
    y = np.random.default_rng(seed).random(n) < 0.5
    said = {name: np.where(y, p, 1 - p) for name, p in (("champion", champion), ("challenger", challenger))}
    return pd.DataFrame({"deal_id": np.arange(n).astype(str), "won": y, **said})


def test_the_first_model_is_promoted():
    assert first_model().promote


def test_a_better_challenger_is_promoted_and_the_difference_is_told():
    verdict = judge(past(0.6, 0.7), Policy())
    assert verdict.promote
    # Log loss -log(.6) against -log(.7) on every deal.
    assert verdict.difference == pytest.approx(np.log(0.7 / 0.6))
    assert "Promoted" in verdict.text
    assert "400 deals" in verdict.text


def test_a_worse_challenger_is_not():
    verdict = judge(past(0.7, 0.6), Policy())
    assert not verdict.promote
    assert "the champion stays" in verdict.text


def test_the_same_forecasts_are_no_worse():
    assert judge(past(0.6, 0.6), Policy()).promote


def test_worse_within_the_tolerance_is_promoted_only_if_not_worse_beyond_doubt():
    # Worse by .001 on every deal without exception: the interval lies below 0, so the tolerance does not help.
    assert not judge(past(0.6, 0.6 * np.exp(-0.001)), Policy(tolerance=0.002)).promote


def test_repeated_rows_of_one_deal_are_no_evidence():
    table = past(0.7, 0.6, n=40).assign(deal_id="one")
    verdict = judge(table, Policy(tolerance=1.0))
    assert verdict.deals == 1


def test_no_common_forecasts_promote_with_a_word_on_it():
    assert "no past forecasts" in judge(past(0.6, 0.6, n=0), Policy()).text


def test_the_policy_is_read_and_a_wrong_key_told(tmp_path):
    assert policy_of("win").level == 0.9
    file = tmp_path / "promotion.yaml"
    file.write_text("win:\n  levle: 0.9\n")
    with pytest.raises(BadPolicy, match=r"win\.levle is not a known key. Known: level, tolerance"):
        policy_of("win", file)
    file.write_text("win:\n  level: high\n")
    with pytest.raises(BadPolicy, match=r"win\.level is 'high'"):
        policy_of("win", file)
    assert policy_of("churn", file) == Policy()
