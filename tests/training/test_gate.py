"""The promotion rule: figures on the same deals, checks for harm beside them, sentences, and the policy's file."""

import re

import numpy as np
import pandas as pd
import pytest

from models.win import WinModel
from tests.models.snapshot_company import END, snapshots
from training.fit_win import as_fitted
from training.gate import fitted_again, judge, judge_first, same_recipe, unjudged
from training.policy import BadPolicy, Policy, policy_of


def past(champion, challenger, n=400, seed=0):
    """Deals won half the time; each model says so much for those that are won, and the rest for the others."""
    y = np.random.default_rng(seed).random(n) < 0.5
    said = {name: np.where(y, p, 1 - p) for name, p in (("champion", champion), ("challenger", challenger))}
    return pd.DataFrame({"deal_id": np.arange(n).astype(str), "won": y, **said})


def test_a_better_challenger_is_promoted_and_the_difference_is_told():
    verdict = judge(past(0.6, 0.7), Policy())
    assert (verdict.promote, verdict.outcome) == (True, "better")
    # Log loss -log(.6) against -log(.7) on every deal.
    assert verdict.difference == pytest.approx(np.log(0.7 / 0.6))
    assert "Promoted: better beyond doubt" in verdict.text
    assert "400 deals" in verdict.text


def test_a_worse_challenger_is_not():
    verdict = judge(past(0.7, 0.6), Policy())
    assert (verdict.promote, verdict.outcome) == (False, "worse")
    assert "the champion stays: worse beyond doubt" in verdict.text


def test_the_same_forecasts_leave_the_champion_unless_no_worse_is_enough():
    verdict = judge(past(0.6, 0.6), Policy())
    assert (verdict.promote, verdict.outcome) == (False, "equal")
    assert "no difference beyond chance" in verdict.text
    assert judge(past(0.6, 0.6), Policy(promote="no_worse")).promote


def test_worse_within_the_tolerance_is_promoted_only_if_not_worse_beyond_doubt():
    # Worse by .001 on every deal without exception: the interval lies below 0, so the tolerance does not help.
    rule = Policy(promote="no_worse", tolerance=0.002)
    assert not judge(past(0.6, 0.6 * np.exp(-0.001)), rule).promote


def test_repeated_rows_of_one_deal_are_no_evidence():
    table = past(0.7, 0.6, n=40).assign(deal_id="one")
    assert judge(table, Policy(tolerance=1.0)).deals == 1


def test_without_common_forecasts_the_champion_stays_with_a_word_on_it():
    assert "too short to compare" in judge(past(0.6, 0.6, n=0), Policy()).text
    assert unjudged(there_is_champion=False).promote


def teams(n=400):
    """A challenger that is better in West, three quarters of the deals, and knows nothing in East."""
    table = past(0.6, 0.8, n)
    east = np.arange(n) % 4 == 0
    table["team"] = np.where(east, "East", "West")
    table.loc[east, "challenger"] = 0.5
    return table


def test_better_overall_but_clearly_worse_in_one_team_is_refused_by_name():
    table = teams()
    verdict = judge(table, Policy(), segments=["team"])
    assert verdict.low > 0
    assert (verdict.promote, verdict.outcome) == (False, "refused")
    assert "better overall, but a segment is harmed" in verdict.text
    assert "Team east is harmed: log loss" in verdict.text
    assert "on 100 deals" in verdict.text
    assert "west" not in verdict.text
    # Without a look at teams it would have been promoted.
    assert judge(table.drop(columns="team"), Policy()).promote


def test_a_segment_with_few_deals_or_without_a_name_is_not_looked_at():
    table = teams()
    assert judge(table, Policy(segment_deals=101), segments=["team"]).promote
    assert judge(table.assign(team=table["team"].replace("East", None)), Policy(), segments=["team"]).promote


def test_equal_recipes_are_seldom_called_harmful_among_many_segments():
    """On 40 segments without any true difference fewer than two in ten alarms: .1 are allowed, and chance."""
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = rng.uniform(0.1, 0.6, 2_000)
        noisy = [np.clip(p + rng.normal(0, 0.05, 2_000), 0.01, 0.99) for _ in range(2)]
        table = pd.DataFrame({"deal_id": np.arange(2_000).astype(str), "won": rng.random(2_000) < p})
        table["champion"], table["challenger"] = noisy
        table["team"] = rng.integers(40, size=2_000).astype(str)
        found = judge(table, Policy(segment_harm=0.0, segment_shortfall=0.0), segments=["team"])
        alarms += any(check.name == "segment" and not check.holds for check in found.checks)
    assert alarms <= 8


def test_a_segment_forecast_too_low_is_refused_with_both_figures():
    """Part-time owners win 60 of 100 deals; the challenger says 20 % for them and is sharper for all others."""
    won = np.concatenate([np.arange(100) < 60, np.arange(400) % 2 == 0])
    table = pd.DataFrame(
        {"deal_id": np.arange(500).astype(str), "won": won, "fte": ["part time"] * 100 + ["full time"] * 400}
    )
    table["champion"] = np.where(table["fte"] == "part time", 0.45, 0.5)
    table["challenger"] = np.where(table["fte"] == "part time", 0.2, np.where(won, 0.9, 0.1))
    verdict = judge(table, Policy(segment_harm=1.0), segments=["fte"])
    assert not verdict.promote
    assert (
        "Fte part time is forecast too low: 20.0% forecast, 60.0% came on 100 deals; the champion said 45.0%"
        in verdict.text
    )


def test_a_worse_calibrated_challenger_is_refused():
    """Half of 4,000 deals come; the challenger separates them a little but says far too much throughout."""
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(4_000) % 2 == 0, 0.35, 0.65)
    table = pd.DataFrame({"deal_id": np.arange(4_000).astype(str), "won": rng.random(4_000) < truth, "champion": 0.5})
    table["challenger"] = np.where(truth < 0.5, 0.42, 0.78)
    verdict = judge(table, Policy(promote="no_worse", tolerance=1.0))
    assert not verdict.promote
    found = next(check for check in verdict.checks if check.name == "calibration")
    # .07 and .13 too much: .10 on the mean, up to the luck of 4,000 draws.
    assert float(found.text.split()[2]) == pytest.approx(0.1, abs=0.015)
    assert found.text in verdict.text


def rated(base, stage, n=400):
    """As `past`: the challenger says .6 of what comes, the two rates so much."""
    table = past(0.5, 0.6, n)
    for name, p in (("base_rate", base), ("stage_rate", stage)):
        table[name] = np.where(table["won"], p, 1 - p)
    return table


def test_the_first_model_is_held_against_both_rates():
    better = judge_first(rated(0.5, 0.55), Policy())
    assert (better.promote, better.outcome) == (True, "first")
    assert "better than the base rate and the stage rate" in better.text
    half = judge_first(rated(0.5, 0.6), Policy())
    assert "better than the base rate, but not than the stage rate" in half.text
    none = judge_first(rated(0.6, 0.6), Policy())
    assert (none.promote, none.outcome) == (True, "rate")
    assert none.text.startswith("Installed as no better than the base rate")
    assert "0.5108" in none.text  # -log(.6)


@pytest.mark.parametrize(("champion_sees", "promoted", "outcome"), [(True, False, "refused"), (False, True, "rate")])
def test_a_recipe_of_which_only_the_base_rate_is_left_takes_no_better_models_place(champion_sees, promoted, outcome):
    plain, seeing = (
        WinModel(replicates=0).fit(snapshots(300, seed=5, **how), until=END)
        for how in ({"effect": 0.0, "flat": True}, {})
    )
    assert (plain.note["quality"], seeing.note["signal"]) == ("no_signal", True)
    passed = judge(past(0.6, 0.7), Policy())
    found = as_fitted(passed, plain, seeing if champion_sees else plain)
    assert (found.promote, found.outcome) == (promoted, outcome)
    assert "every deal would get that rate" in found.text
    assert passed.text in found.text
    assert as_fitted(passed, seeing, plain) is passed
    assert as_fitted(same_recipe(), plain, seeing).promote  # there is no other recipe to go back to


def test_the_policy_is_read_and_a_wrong_key_told(tmp_path):
    assert policy_of("win") == Policy()
    file = tmp_path / "promotion.yaml"
    file.write_text("win:\n  levle: 0.9\n")
    with pytest.raises(BadPolicy, match=r"win\.levle is not a known key. Known: level, promote"):
        policy_of("win", file)
    file.write_text("win:\n  level: high\n")
    with pytest.raises(BadPolicy, match=r"win\.level is 'high'"):
        policy_of("win", file)
    file.write_text("win:\n  promote: always\n")
    with pytest.raises(BadPolicy, match=r"Give better or no_worse"):
        policy_of("win", file)
    assert policy_of("churn", file) == Policy()


def told():
    """A verdict of each kind, and one that names a segment that is harmed and one that is forecast too low."""
    low = past(0.6, 0.8).assign(team=lambda t: np.where(np.arange(len(t)) % 4 == 0, "East", "West"))
    low.loc[low["team"] == "East", "challenger"] = 0.3
    rates = past(0.6, 0.7).assign(base_rate=0.5, stage_rate=0.5)
    verdicts = [
        judge(past(0.6, 0.7), Policy()), judge(past(0.7, 0.6), Policy()), judge(past(0.6, 0.6), Policy()),
        judge(teams(), Policy(), segments=["team"]), judge(low, Policy(), segments=["team"]),
        judge_first(rates, Policy()), judge_first(rates.assign(challenger=0.5), Policy()),
        judge_first(rates.assign(stage_rate=rates["challenger"]), Policy(), unit="customers"),
        unjudged(there_is_champion=True), unjudged(there_is_champion=False),
        same_recipe(), same_recipe(other_definitions=True), fitted_again(),
    ]  # fmt: skip
    return [v.said for v in verdicts]


def test_a_verdict_has_the_same_figures_in_chinese():
    number = r"[-+]?\d+(?:\.\d+)?"
    every = told()
    assert any("forecast too low" in said.en for said in every)
    for said in every:
        assert sorted(re.findall(number, said.zh)) == sorted(re.findall(number, said.en))
        # A segment's own name stays; Brier is a person's.
        assert set(re.findall(r"[A-Za-z]{2,}", said.zh)) <= {"Brier", "Team", "east", "west"}
        assert said.zh.endswith("。")
        assert "{" not in said.en + said.zh
