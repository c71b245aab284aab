"""Which deals a change in a CRM touches: those it names, and those of the customers and activities it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crm.connectors import Declaration
from crm.lake import View, connect

_OF_TABLE = {
    "accounts": "select deal_id from deals where account_id in (select key from keys)",
    "products": "select deal_id from deals where product_id in (select key from keys)",
    "contacts": "select d.deal_id from deals d join contacts c using (account_id) "
    "where c.contact_id in (select key from keys)",
    "activities": "select d.deal_id from activities a join deals d on d.deal_id = a.deal_id "
    "or (a.deal_id is null and d.account_id = a.account_id) where a.activity_id in (select key from keys)",
}


def deals_touched(view: View, declared: Declaration, keys: Mapping[str, Sequence[str]]) -> set[str]:
    """Keys of deals and leads that rest on these records.

    Parameters
    ----------
    keys : mapping of str to sequence of str
        Records by resource of the connector.
    """
    tables = {r.name: set(r.removes) for r in declared.resources}
    found = {key for name in declared.deals for key in keys.get(name, ())}
    if "deals" not in view.present:
        return found
    with connect() as con:
        view.attach(con)
        for resource, some in keys.items():
            for table in tables.get(resource, set()) & view.present & set(_OF_TABLE):
                con.execute("create or replace temp table keys as select unnest(?::varchar[]) as key", [list(some)])
                found |= {str(deal) for (deal,) in con.sql(_OF_TABLE[table]).fetchall()}
    return found
