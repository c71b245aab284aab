"""Activity for its own sake moves little: each unanswered contact of ours written down once more, a minute later."""

import numpy as np
import pyarrow as pa
import pytest

from crm.lake import TableView, connect
from features.build import build, open_deals
from tests.models.sold_company import sold

TENTH = 10


# Contacts of ours after which the customer sent nothing on that deal before our next one, once more a minute later.
AGAIN = """
with rows as (
    select *, lead(coalesce(direction, 'out')) over (partition by deal_id order by occurred_at, activity_id) as next_one
    from activities
    where deal_id in (select deal_id from chosen) and occurred_at <= $until
)
select * exclude (next_one) replace (
    activity_id || '-again' as activity_id, occurred_at + interval 1 minute as occurred_at,
    recorded_at + interval 1 minute as recorded_at
)
from rows
where coalesce(direction, 'out') = 'out' and kind not in ('note', 'task') and coalesce(next_one, 'out') = 'out'
"""


def repeated(view, chosen, until):
    with connect() as con:
        view.attach(con)
        con.register("chosen", pa.table({"deal_id": pa.array(sorted(chosen))}))
        again = con.sql(AGAIN, params={"until": until.to_pydatetime()}).to_arrow_table()
    tables = {name: view.arrow(name) for name in view.present}
    known = tables["activities"]
    again = again.select(known.column_names).cast(known.schema)
    return TableView(tables | {"activities": pa.concat_tables([known, again])})


@pytest.mark.slow_study
def test_contacts_written_down_twice_raise_the_chance_by_under_a_point():
    s = sold()
    rises, touched = [], []
    for part in range(TENTH):
        chosen = set(s.deals["deal_id"][part::TENTH])
        view = repeated(s.view, chosen, s.as_of)
        after = build(view, open_deals(view, s.as_of), "deal", company=s.company)
        mine = after["deal_id"].isin(chosen).to_numpy()
        assert (after["deal_id"] == s.deals["deal_id"]).all()
        touched.append(after.loc[mine, "touches"].to_numpy() > s.deals.loc[mine, "touches"].to_numpy())
        rises.append(s.win.predict_proba_won(after[mine]) - s.win.predict_proba_won(s.deals[mine]))
    rise = np.concatenate(rises)
    assert np.concatenate(touched).mean() > 0.4  # the test would else repeat next to nothing
    print(f"{len(rise)} deals: mean {rise.mean():+.4f}, 95th percentile {np.quantile(rise, 0.95):+.4f}")  # noqa: T201
    assert rise.mean() < 0.01
    assert np.quantile(rise, 0.95) < 0.03
