"""Steps of a company's own: in the catalogue, when they fit, how they rank, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from crm.company import BadSetting, Company
from crm.errors import BadInput
from models.actions import CATALOGUE, named
from models.coaching import advise
from models.effects import measure_effects
from models.own_actions import catalogue
from tests.builders import a_deal, an_activity, view_of
from tests.models.demo_wins import demo_wins
from tests.models.sold_company import sold
from training.snapshots import deal_snapshots

AS_OF = pd.Timestamp("2026-03-02", tz="UTC")
BENCH = {
    "name": "bench_demo", "en": "Show the bench to an expert", "zh": "向专家演示", "kind": "demo",
    "when": "demos = 0 and stage = 'Qualify'", "why_en": "No expert has seen the bench yet.", "due_in_days": 10,
    "effort_hours": 5,
}  # fmt: skip


def company(*actions, **advice):
    return Company.model_validate({"advice": {"actions": list(actions), **advice}})


def fits(when, **row):
    step = catalogue(company(BENCH | {"when": when}))[0]
    return step.fits(pd.DataFrame({"deal_id": ["d1"], **{k: [v] for k, v in row.items()}})).tolist()


def test_own_steps_come_before_those_built_in_and_are_logged_as_their_kind():
    found = catalogue(company(BENCH))
    assert [a.name for a in found] == ["bench_demo", *(a.name for a in CATALOGUE)]
    own = found[0]
    assert own.kind == "demo"
    assert (own.due_in_days, own.effort_hours, own.why_zh) == (10, 5, "No expert has seen the bench yet.")
    decides = catalogue(company({"name": "board", "en": "B", "kind": "call", "seniority": ["c-level"]}))[0]
    assert decides.needs == "decision_maker"
    assert catalogue(Company()) == CATALOGUE


def test_a_condition_is_asked_of_each_deal_and_what_is_not_known_does_not_meet_it():
    X = pd.DataFrame({"deal_id": ["a", "b", "c"], "demos": [0.0, 2.0, np.nan], "stage": ["Qualify", "Qualify", None]})
    assert catalogue(company(BENCH))[0].fits(X).tolist() == [True, False, False]
    assert catalogue(company(BENCH | {"when": "true"}))[0].fits(X).tolist() == [True, True, True]
    categories = X.assign(stage=pd.Categorical(X["stage"]))
    assert catalogue(company(BENCH))[0].fits(categories).tolist() == [True, False, False]
    assert fits("demos = 0") == [False]  # the feature is not there at all
    assert fits("not demos > 1", demos=1.0) == [True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "demo"}, "action demo has a name that is taken"),
        ({"when": "demoz = 0"}, "has no column demoz .* Did you mean demos"),
        ({"when": "count(*) > 3"}, "an aggregate"),
        ({"when": "select 1"}, "no SQL|more than one|subquery"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_mend(change, said):
    with pytest.raises(BadInput, match=said):
        catalogue(company(BENCH | change))


def test_a_condition_that_compares_a_word_with_a_number_is_refused_with_its_mend():
    with pytest.raises(BadInput, match=r"cannot ask 'when: stage > 3'.*Compare like with like"):
        fits("stage > 3", stage="Qualify")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: a, en: A}", "shows in no way or in two; give either kind or field"),
        ("{name: a, en: A, kind: call, field: x_a}", "shows in no way or in two"),
        ("{name: a, en: A, field: x_a, outcome: b}", "gives no kind"),
        ("{name: a, en: A, kind: call, to: b}", "without a field"),
        ("{name: A B, en: A, kind: call}", "advice.actions.0.name"),
        ("{name: a, en: A, kind: call, whenn: b}", "Did you mean when"),
    ],
)
def test_a_file_that_does_not_say_how_a_step_shows_is_refused(tmp_path, text, said):
    path = tmp_path / "company.yaml"
    path.write_text(f"advice:\n  actions:\n    - {text}\n", encoding="utf-8")
    with pytest.raises(BadSetting, match=said):
        Company.load(path)


def test_the_line_in_the_file_is_named(tmp_path):
    path = tmp_path / "company.yaml"
    path.write_text("advice:\n  actions:\n    - {name: demo, en: A, kind: call}\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"company\.yaml line 3: action demo has a name"):
        catalogue(Company.load(path))


def coach(own, *activities, amount=1000.0, stage="Qualify"):
    X = pd.DataFrame(
        {"deal_id": ["d1"], "as_of": [AS_OF], "amount": [amount], "demos": [0.0], "calls_30d": [0.0], "stage": [stage]}
    )
    view = view_of(deals=[a_deal("d1")], contacts=[], activities=list(activities))
    return advise(X, demo_wins(AS_OF), view=view, company=own, as_of=AS_OF)


def test_an_own_step_is_named_in_place_of_the_built_in_one_that_looks_alike():
    table = coach(company(BENCH))
    assert "demo" not in set(table["action"])
    own = table[table["action"] == "bench_demo"].iloc[0]
    built_in = coach(company()).query("action == 'demo'").iloc[0]
    assert own["expected_uplift"] == pytest.approx(built_in["expected_uplift"])
    assert own["due_in_days"] == 10
    assert "bench_demo" not in set(coach(company(BENCH), stage="Propose")["action"])


def test_effort_is_taken_off_the_expected_value():
    free, paid = (coach(company(BENCH, hour_cost=cost)).iloc[0] for cost in (0, 4))
    assert free["expected_value"] == pytest.approx(free["expected_uplift"] * 1000)
    assert paid["expected_value"] == pytest.approx(free["expected_value"] - 5 * 4)


def test_what_was_just_done_is_not_suggested_again_until_it_has_cooled_off():
    # A demo on 20 February is ten days old on 2 March.
    done = an_activity(deal_id="d1", kind="demo", occurred_at="2026-02-20T10:00:00Z")
    assert "bench_demo" not in set(coach(company(BENCH), done)["action"])
    assert "bench_demo" in set(coach(company(BENCH | {"cooling_off_days": 9}), done)["action"])


def test_an_own_step_is_found_in_the_history_as_the_built_in_one_that_it_equals():
    # In the sample company those who decide are met in meetings only.
    board = {
        "name": "board_meeting", "en": "Meet the board", "kind": "meeting", "seniority": ["vp", "c-level"],
        "when": "decision_makers_met < 1",
    }  # fmt: skip
    s = sold()
    mine = s.company.model_copy(update={"advice": company(board).advice})
    steps = (catalogue(mine)[0], named("involve_decision_maker"))
    rows = deal_snapshots(s.view, mine, until=s.as_of)
    table = measure_effects(rows, view=s.view, company=mine, until=s.as_of, actions=steps).table
    first = table[table["part"] == "first"].set_index("action")
    own, built_in = first.loc["board_meeting"], first.loc["involve_decision_maker"]
    assert own["treated_rows"] == built_in["treated_rows"] > 10
    assert (own["rows"], own["basis"], own["reason"]) == tuple(built_in[["rows", "basis", "reason"]])
