"""Effects of all actions together: which claims stand among so many, and which never may."""

import pytest

from models.effects import corrected_for_many
from models.effects_action import Effect
from models.effects_estimate import Mean
from models.effects_rules import Corrected, Counts


def claimed(action, value, se=0.02, part="first"):
    left = Corrected(0.1, Mean(value, se), 0.0)
    return Effect(action, part, 1_000, Counts(200, 150, 150), 0.2, 0.1, "adjusted", "passed", (), corrected=left)


def said(*effects):
    return [(e.basis, e.reason) for e in corrected_for_many(effects)]


def test_a_sure_claim_stands_and_one_that_chance_explains_does_not():
    # One-sided p of z 5 is 3e-7, of z .5 it is .31: above .1 x 2 / 2.
    assert said(claimed("call", 0.1), claimed("visit", 0.01)) == [
        ("adjusted", "passed"), ("association", "many_tried"),
    ]  # fmt: skip


@pytest.mark.parametrize("action", ["note", "task"])
def test_what_no_customer_notices_is_never_claimed_however_sure(action):
    assert said(claimed(action, 0.2), claimed("call", 0.1)) == [("association", "control"), ("adjusted", "passed")]
