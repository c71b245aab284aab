"""The page on figures on persons says what the code does; none is made from what must not count."""

import re
from pathlib import Path

from crm.schema import TABLES
from features.catalogue import ENTITIES, blocks
from features.lineage import columns_read, lineage
from serving.people_data.catalogue import person_figures
from serving.people_data.documentation import write_page
from training.registry import KINDS

DOCS = Path(__file__).parents[2] / "docs"
# Words of columns that would tell of age, sex, health, family, belief or why somebody was away.
FORBIDDEN = re.compile(
    r"(^|_)(age|birth\w*|born|sex|gender|health\w*|sick\w*|ill\w*|disab\w*|pregnan\w*|parental|maternity|marital|famil(y|ies)"
    r"|relig\w*|ethnic\w*|race|nationality|union|reason|why)(_|$)"
)
# A product's family and the reason for which a deal was lost tell nothing of a person.
ABOUT_OTHERS = {"products.family", "goals.product_family", "deals.loss_reason"}


def test_the_page_in_docs_is_up_to_date(tmp_path):
    write_page(tmp_path)
    assert (DOCS / "people-data.md").read_text("utf-8") == (tmp_path / "people-data.md").read_text("utf-8"), (
        "python -m serving.people_data.documentation docs"
    )


def test_every_feature_of_reps_and_every_one_that_tells_of_an_owner_is_in_the_catalogue():
    known = {(one.entity, one.name) for one in person_figures()}
    of_reps = {("rep", f.name) for block in blocks("rep") for f in block.features if f.shown}
    of_owners = {("deal", f.name) for block in blocks("deal") for f in block.features if f.shown and f.identity}
    assert min(len(of_reps), len(of_owners)) > 5
    assert {key for key in known if key[0]} == of_reps | of_owners


def test_whatever_rests_on_a_column_about_reps_tells_of_an_owner_or_of_a_rep():
    """A deal's feature that reads the reps table without being marked would be a figure on a person in disguise."""
    for block in blocks("deal"):
        for feature in block.features:
            reads = {column.split(".")[0] for column in lineage("deal", feature.name)}
            if feature.shown and reads & {"reps", "absences"}:
                assert feature.identity, feature.name


def test_no_feature_comes_from_age_sex_health_family_or_reasons_of_absence():
    read = frozenset().union(*(columns_read(entity) for entity in ENTITIES)) - ABOUT_OTHERS
    assert len(read) > 50
    assert [column for column in sorted(read) if FORBIDDEN.search(column.partition(".")[2])] == []
    persons = {f"{name}.{c.name}" for name in ("reps", "absences", "team_memberships") for c in TABLES[name].columns}
    assert [column for column in sorted(persons) if FORBIDDEN.search(column.partition(".")[2])] == []


def test_the_search_for_such_columns_finds_them():
    for column in ("age", "birth_date", "sex", "sick_days", "reason", "absence_reason", "marital_status"):
        assert FORBIDDEN.search(column)


def test_no_model_forecasts_that_a_person_leaves():
    """Models there are: deals won, reps' totals, customers leaving; no feature reads when a rep left."""
    assert set(KINDS) == {"win", "attainment", "churn"}
    assert not any("reps.left_on" in columns_read(entity) for entity in ENTITIES)
