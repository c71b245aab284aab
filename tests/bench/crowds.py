"""Stand-ins of CRMs with a hundred thousand deals by key, so that they answer as fast as a database."""

import bisect
from datetime import timedelta
from typing import Any

from tests.crm.connectors import fxiaoke_server, hubspot_server, zoho_server
from tests.crm.connectors.stand_in import Answer, StandIn
from tests.crm.connectors.zoho_server import ZohoServer

Record = dict[str, Any]


class FxiaokeCrowd(fxiaoke_server.FxiaokeCrm):
    """纷享销客; the vendor's 20 seconds for 100 calls to an address go ten times as fast."""

    name = "fxiaoke"

    def __init__(self, deals: int) -> None:
        super().__init__()
        self.seconds = 2.0
        for n in range(deals):
            self.tick(minutes=2)
            self.put(
                "NewOpportunityObj", f"{n * 7919 % 999_983:024d}", name=f"Deal {n}", owner=["1000"], account_id="a1",
                sales_stage="s1", deal_money=f"{n}.50", close_date=1_782_748_800_000, risk__c="3",
            )  # fmt: skip
        self.keys = sorted(self.records["NewOpportunityObj"])

    def listen(self) -> StandIn:
        return fxiaoke_server.serve(self)

    def options(self, address: str) -> Record:
        return {"keys": fxiaoke_server.KEYS, "host": address, "seconds": self.seconds}

    def change(self, place: int) -> None:
        self.put("NewOpportunityObj", self.keys[place], deal_money="7.00")

    @property
    def over(self) -> int:
        """Calls beyond what the vendor allows."""
        return sum(self.exceeded.values())

    def _query(self, wish: Record, own: bool) -> Answer:
        """Only what lies behind the key asked for is looked at."""
        data = wish["data"]
        after = [f["field_values"][0] for f in data["search_query_info"]["filters"] if f["operator"] == "GT"]
        changed = any(f["operator"] == "GTE" for f in data["search_query_info"]["filters"])
        by_key = data["search_query_info"]["orders"][0]["fieldName"] == "_id"
        if data["dataObjectApiName"] != "NewOpportunityObj" or changed or not by_key:
            return super()._query(wish, own)
        whole, begin = self.records["NewOpportunityObj"], bisect.bisect_right(self.keys, after[0]) if after else 0
        self.records["NewOpportunityObj"] = {key: whole[key] for key in self.keys[begin : begin + 101]}
        try:
            return super()._query(wish, own)
        finally:
            self.records["NewOpportunityObj"] = whole


class HubSpotCrowd(hubspot_server.HubSpotAccount):
    """HubSpot; its ten seconds for 100 calls and its second for 5 searches go ten times as fast."""

    name = "hubspot"

    def __init__(self, deals: int) -> None:
        super().__init__()
        self.burst, self.seconds = 100, 1.0
        self.searches, self.search_seconds = 5, 0.1
        for n in range(deals):
            self.tick(minutes=2)
            self.put(
                "deals", str(1_000_000 + n), dealname=f"Deal {n}", dealstage="101", pipeline="default",
                amount=f"{n}.50", closedate="2026-07-01T03:30:00Z", hubspot_owner_id="1", risk_points="3",
            )  # fmt: skip
        self.keys = list(self.records["deals"])

    def listen(self) -> StandIn:
        return hubspot_server.serve(self)

    def options(self, address: str) -> Record:
        return {"token": hubspot_server.TOKEN, "host": address, "seconds": self.seconds}

    def change(self, place: int) -> None:
        self.put("deals", self.keys[place], amount="7.00")

    @property
    def over(self) -> int:
        """Calls beyond what the vendor allows."""
        return self.exceeded

    def _list(self, kind: str, query: dict[str, str]) -> Answer:
        """Only the page asked for is looked at."""
        if kind != "deals" or "archived" in query:
            return super()._list(kind, query)
        whole, begin = self.records["deals"], bisect.bisect_left(self.keys, query.get("after", ""))
        self.records["deals"] = {key: whole[key] for key in self.keys[begin : begin + 101]}
        try:
            return super()._list(kind, query)
        finally:
            self.records["deals"] = whole


class ZohoCrowd(zoho_server.ZohoCrm):
    """Zoho CRM: files for the records, and a call for the stages of each deal; ten calls at a time at most."""

    name = "zoho"

    def __init__(self, deals: int) -> None:
        super().__init__()
        self.now -= timedelta(days=1)
        for n in range(deals):
            self.tick(minutes=2)
            self.put(
                "Deals", str(1_000_000 + n), Deal_Name=f"Deal {n}", Owner={"id": "1"}, Amount=n + 0.5,
                Stage="Qualification", Closing_Date="2026-06-30", Type="New Business",
            )  # fmt: skip
        self.keys = list(self.records["Deals"])

    def listen(self) -> ZohoServer:
        return ZohoServer(self)

    def options(self, address: str) -> Record:
        return {"keys": zoho_server.KEYS, "host": address}

    def change(self, place: int) -> None:
        self.put("Deals", self.keys[place], Amount=7.0)

    @property
    def over(self) -> int:
        """Calls beyond what the vendor allows at a time."""
        return max(0, self.peak_at_once - self.most_at_once)
