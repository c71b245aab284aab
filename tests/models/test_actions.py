"""The catalogue: names, and when a step fits."""

import numpy as np
import pandas as pd
import pytest

from models.actions import CATALOGUE, PAUSE, named

WANTED = (
    "email call meeting demo proposal visit involve_decision_maker add_contact requalify reset_close_date "
    "hand_over pause"
).split()


def fits(action, **row):
    return bool(named(action).fits(pd.DataFrame({"deal_id": ["d1"], **{k: [v] for k, v in row.items()}}))[0])


def test_all_steps_that_coach_may_name_are_there():
    assert sorted(action.name for action in (*CATALOGUE, PAUSE)) == sorted(WANTED)


@pytest.mark.parametrize("action", CATALOGUE, ids=lambda a: a.name)
def test_each_step_is_said_in_both_languages(action):
    assert action.why_en.endswith(".")
    assert action.why_zh.endswith("。")
    assert action.due_in_days > 0


def test_a_mail_fits_after_a_week_of_silence_or_where_there_never_was_contact():
    assert fits("email", days_silent=7.0)
    assert fits("email", days_silent=np.nan)
    assert not fits("email", days_silent=3.0)


def test_a_step_that_was_taken_does_not_fit_again():
    assert fits("demo", demos=0.0)
    assert not fits("demo", demos=1.0)
    assert not fits("involve_decision_maker", decision_makers_met=1.0)


def test_what_is_not_known_is_not_suggested():
    # The company logs no activities: nobody can say that a demo is missing.
    assert not fits("demo", demos=np.nan)
    assert not fits("reset_close_date", close_date_days=np.nan)
