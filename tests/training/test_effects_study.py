"""Effects on simulated companies whose truth is known: what does nothing, what does most, and who ranks them best.

A company costs half a minute of a processor at 20 reps and 18 months, some minutes at the larger sizes. One that is
done is kept in pytest's cache until a line of the code it ran through changes: a run that was broken off goes on where
it was. STUDY_SEEDS and STUDY_LARGER say how many small and how many larger ones. The method was tuned on companies of
seeds from 100 on and tried on some from 3,000 on; these are others.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from crm.company import Company
from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from models.effects import measure_effects
from training.snapshots import deal_snapshots

pytestmark = pytest.mark.slow_study
SEEDS = range(1000, 1000 + int(os.environ.get("STUDY_SEEDS", "100")))  # noqa: TID251
LARGER = range(1000, 1000 + int(os.environ.get("STUDY_LARGER", "10")))  # noqa: TID251
SMALL, MIDDLE, LARGE = (20, 18), (60, 24), (120, 36)
LARGEST = "involve_decision_maker"
_ROOT = Path(__file__).parents[2]
_CODE = ("crm/**/*.py", "features/**/*.py", "models/effects*.py", "models/*actions.py", "models/encoding.py",
         "models/learners.py", "training/snapshots*.py", "training/weeks*.py")  # fmt: skip
_PARTS = ("table", "segments", "true")


class Seen(NamedTuple):
    """A company's effects as measured, in parts of its business, and as they are."""

    table: pd.DataFrame
    segments: pd.DataFrame
    true: pd.DataFrame

    def of(self, action: str, part: str = "first") -> pd.Series:
        return self.table[(self.table["action"] == action) & (self.table["part"] == part)].iloc[0]


def measured(seed: int, size: tuple[int, int]) -> Seen:
    sample = simulate(reps=size[0], months=size[1], seed=seed)
    view, company = lake_view(sample), Company.parse(sample.settings)
    until = pd.Timestamp(newest_event(view))
    rows = deal_snapshots(view, company, until=until)
    found = measure_effects(rows, view=view, company=company, until=until)
    return Seen(found.table, found.segments, sample.truth["effects"])


@pytest.fixture(scope="module")
def seen(request):
    """Effects of one company, from the folder if they are there."""
    files = sorted({file for pattern in _CODE for file in _ROOT.glob(pattern)})
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    folder = Path(request.config.cache.mkdir(f"effects_{code}"))

    @cache
    def of(seed: int, size: tuple[int, int] = SMALL) -> Seen:
        place = folder / f"{size[0]}_{size[1]}_{seed}"
        if not place.exists():
            part = place.with_suffix(".part")
            part.mkdir(exist_ok=True)
            for name, table in zip(_PARTS, measured(seed, size), strict=True):
                table.to_parquet(part / f"{name}.parquet")
            part.rename(place)
            print(f"{size[0]} reps, {size[1]} months, seed {seed}: done", flush=True)  # noqa: T201 - takes hours
        return Seen(*(pd.read_parquet(place / f"{name}.parquet") for name in _PARTS))

    return of


def share_of(flags: list[bool]) -> str:
    """A share with its standard error, in words."""
    p, n = float(np.mean(flags)), len(flags)
    return f"{sum(flags)} of {n} ({p:.3f}, standard error {np.sqrt(p * (1 - p) / n):.3f})"


def test_of_what_does_nothing_the_interval_holds_zero_as_often_as_it_says(seen):
    """Visits and tasks raise no interest and do not depend on it."""
    for action in ("visit", "task"):
        known = [row for seed in SEEDS if np.isfinite((row := seen(seed).of(action))["low"])]
        held = [bool(row["low"] <= 0 <= row["high"]) for row in known]
        holds = float(np.mean(held))
        # A study is run for its figures.
        print(f"{action}: the 90 % interval holds 0 in {share_of(held)}")  # noqa: T201
        # 90 of 100 give or take 3.3; .85 to .98 is what the placebo's doubt leaves room for.
        allowed = 2.5 * np.sqrt(0.9 * 0.1 / len(known)) if len(known) < 100 else 0.0
        assert 0.85 - allowed <= holds <= 0.98 + allowed


def test_outgoing_mail_is_never_said_to_help_nor_anything_to_harm_and_proposals_are_refused(seen):
    for seed in SEEDS:
        table = seen(seed).table
        mail = table[table["action"] == "email"]
        assert not (mail["low"] > 0).any()
        assert set(mail["basis"]).isdisjoint({"adjusted", "measured"})
        assert not ((table["basis"] == "adjusted") & (table["corrected"] <= 0)).any()
        assert seen(seed).of("proposal")["reason"] == "process_step"


def found_share(seen, size, seeds):
    """Shares of companies in which the largest effect is found: with the allowance for bias, without, and claimed."""
    rows = [seen(seed, size).of(LARGEST) for seed in seeds]
    z = [row["adjusted"] / row["adjusted_se"] for row in rows]
    shares = {
        "before any correction": [bool(row["adjusted"] - 1.645 * row["adjusted_se"] > 0) for row in rows],
        "found": [bool(row["corrected"] - 1.645 * row["corrected_se"] > 0) for row in rows],
        "found with the allowance for bias": [bool(row["low"] > 0) for row in rows],
        "called adjusted": [row["basis"] == "adjusted" for row in rows],
        "wrong way round": [bool(row["high"] < 0) for row in rows],
    }
    told = "; ".join(f"{name} {share_of(flags)}" for name, flags in shares.items())
    print(f"{size[0]} reps, {size[1]} months: {LARGEST}, mean z {np.mean(z):.2f}: {told}")  # noqa: T201
    return float(np.mean(shares["found"])), float(np.mean(shares["wrong way round"]))


def test_the_largest_true_effect_is_found_in_half_of_the_small_companies_and_never_the_wrong_way_round(seen):
    sizes = [(SMALL, SEEDS), (MIDDLE, LARGER), (LARGE, LARGER)]
    shares = [found_share(seen, size, seeds) for size, seeds in sizes if len(seeds)]
    assert all(wrong == 0 for _, wrong in shares)
    assert shares[0][0] >= 0.5


def test_meetings_which_do_little_are_seldom_claimed(seen):
    """Reps meet keen customers: adjusted for the record alone a meeting looks four times as good as it is."""
    rows = [seen(seed).of("meeting") for seed in SEEDS]
    print(f"meeting claimed in {share_of([row['basis'] == 'adjusted' for row in rows])}")  # noqa: T201
    # Without the placebos' share taken off.
    plainly = float(np.mean([row["adjusted"] - 1.645 * row["adjusted_se"] > 0 for row in rows]))
    assert plainly > 0.3  # or this test could not fail
    assert np.mean([row["basis"] == "adjusted" for row in rows]) <= 0.1


def test_estimated_and_true_effects_rank_alike_by_action_and_segment(seen):
    every, apart = [], []
    for seed in SEEDS:
        world = seen(seed)
        parts = world.segments
        parts = parts[(parts["dimension"] == "segment") & (parts["part"] == "first")]
        true = world.true.rename(columns={"segment": "level", "effect": "true"})
        both = parts.merge(true, on=["action", "level"])
        every.append(float(spearmanr(both["shrunk"], both["true"]).statistic))
        some = both[both["true"] != 0]
        apart.append(float(spearmanr(some["shrunk"], some["true"]).statistic))
    for name, values in (("all", every), ("effects other than 0", apart)):
        spread = f"standard deviation {np.std(values):.2f}, from {min(values):.2f} to {max(values):.2f}"
        print(f"rank correlation, {name}: mean {np.mean(values):.2f}, {spread}, {len(values)} companies")  # noqa: T201
    assert np.mean(every) > 2 * np.std(every) / np.sqrt(len(every))
