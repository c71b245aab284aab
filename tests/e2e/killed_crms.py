"""CRMs for syncs that are killed: each with records enough for some batches, and what its users change later."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.crm.connectors import (
    fxiaoke_server,
    hubspot_server,
    salesforce_server,
    test_fxiaoke,
    test_hubspot,
    test_salesforce,
    test_zoho,
    zoho_server,
)
from tests.crm.connectors.tryton_server import PASSWORD, TrytonAdmin, decimal, tryton


class Side(ABC):
    """A CRM as a test of kills needs it."""

    name: str

    @abstractmethod
    def serve(self, folder: Path) -> AbstractContextManager[str]:
        """The CRM on loopback, at the address that is given."""

    @abstractmethod
    def settings(self, address: str) -> dict[str, str]:
        """Settings of a sync, by name."""

    @abstractmethod
    def change(self) -> None:
        """What users do between two syncs: change, add, delete, merge."""

    def begin(self, home: Path) -> None:  # noqa: B027
        """Get ready for a sync in this home, or for one that goes on."""


class HubSpotSide(Side):
    """A HubSpot account with sixty deals."""

    name = "hubspot"

    def __init__(self) -> None:
        self.crm = hubspot_server.HubSpotAccount()
        self.crm.list_page = 10
        for n in range(3):
            self.crm.put("companies", f"2{n}", name=f"Firm {n}", hubspot_owner_id="1")
            self.crm.put("contacts", f"3{n}", lastname="Secret", associatedcompanyid=f"2{n}")
        for n in range(60):
            test_hubspot.add_deal(self.crm, n)
            self.crm.put("deals", f"10{n}", dealstage="102")

    def serve(self, folder: Path) -> AbstractContextManager[str]:
        return hubspot_server.serve(self.crm)

    def settings(self, address: str) -> dict[str, str]:
        return {"hubspot_token": hubspot_server.TOKEN, "hubspot_host": address}

    def change(self) -> None:
        self.crm.tick(hours=1)
        for n in range(0, 60, 2):
            self.crm.put("deals", f"10{n}", amount=f"{n}.25", dealstage="103")
        for n in range(60, 80):
            test_hubspot.add_deal(self.crm, n)
        self.crm.delete("deals", "101")
        self.crm.merge("deals", "103", "105")
        self.crm.merge("companies", "22", "21")
        self.crm.tick(minutes=10)


class ZohoSide(Side):
    """Zoho CRM with forty deals, since each costs a call for its stages."""

    name = "zoho"

    def __init__(self) -> None:
        self.crm = zoho_server.ZohoCrm()
        self.crm.page_limit = 10
        self.crm.users.append({"id": "1", "full_name": "Person1 Secret", "status": "active"})
        for n in range(3):
            self.crm.put("Accounts", f"10{n}", Account_Name=f"Firm {n}", Owner=test_zoho.owner(1))
        for n in range(40):
            test_zoho.add_deal(self.crm, str(300 + n))
        for n in range(20):
            test_zoho.add_call(self.crm, str(500 + n), str(300 + n), seconds=60)

    def serve(self, folder: Path) -> AbstractContextManager[str]:
        return zoho_server.ZohoServer(self.crm)

    def settings(self, address: str) -> dict[str, str]:
        return {"zoho_accounts": address, **{f"zoho_{key}": value for key, value in zoho_server.KEYS.items()}}

    def change(self) -> None:
        self.crm.tick(hours=1)
        for n in range(0, 40, 2):
            self.crm.put("Deals", str(300 + n), Amount=n + 0.25, Stage="Signed")
        for n in range(40, 50):
            test_zoho.add_deal(self.crm, str(300 + n))
        self.crm.delete("Deals", "301")
        self.crm.delete("Accounts", "102")
        self.crm.tick(minutes=10)


class FxiaokeSide(Side):
    """纷享销客 with 240 deals, three pages of them; what is deleted for good shows in a list alone."""

    name = "fxiaoke"

    def __init__(self) -> None:
        self.crm = fxiaoke_server.FxiaokeCrm()
        self.crm.seconds = 0.3  # the vendor's 20 seconds, faster: the homes of a study are as many computers
        self.crm.put("PersonnelObj", "p1000", user_id="1000", name="Person Secret", main_department=["1001"])
        for n in range(3):
            self.crm.put("AccountObj", test_fxiaoke.key(n), name=f"Firm {n}", account_level="1", owner=["1000"])
        for n in range(240):
            test_fxiaoke.add_deal(self.crm, n)

    def serve(self, folder: Path) -> AbstractContextManager[str]:
        return fxiaoke_server.serve(self.crm)

    def settings(self, address: str) -> dict[str, str]:
        keys = {f"fxiaoke_{name}": value for name, value in fxiaoke_server.KEYS.items()}
        return {**keys, "fxiaoke_host": address}

    def begin(self, home: Path) -> None:
        """A day has gone by since keys were listed; tokens of other homes count for other apps."""
        self.crm.token_calls.clear()
        cursor = home / "cursors/fxiaoke.json"
        if cursor.exists():
            state = json.loads(cursor.read_text(encoding="utf-8"))
            aged = {name: {**part, "listed": "2026-01-01T00:00:00+00:00"} for name, part in state.items()}
            cursor.write_text(json.dumps(aged), encoding="utf-8")

    def change(self) -> None:
        self.crm.tick(hours=1)
        deals, key = test_fxiaoke.DEALS, test_fxiaoke.key
        for n in range(0, 240, 2):
            self.crm.put(deals, key(100 + n), deal_money=f"{n}.25", sales_stage="s3")
        for n in range(240, 280):
            test_fxiaoke.add_deal(self.crm, n)
        self.crm.delete(deals, key(101))
        self.crm.invalidate(deals, key(103))
        self.crm.delete("AccountObj", key(2))
        self.crm.tick(minutes=10)


class SalesforceSide(Side):
    """Salesforce with eighty opportunities in pages of ten."""

    name = "salesforce"

    def __init__(self) -> None:
        self.crm = salesforce_server.SalesforceOrg()
        self.crm.page = 10
        self.crm.put("User", test_salesforce.ANN, Name="Person Secret", Email="p@example.org")
        self.crm.put("User", test_salesforce.BO, Name="Other Secret", Email="o@example.org")
        for n in range(3):
            self.crm.put("Account", test_salesforce.acc(n), Name=f"Firm {n}", OwnerId=test_salesforce.ANN)
        for n in range(80):
            test_salesforce.add_deal(self.crm, n)

    def serve(self, folder: Path) -> AbstractContextManager[str]:
        return salesforce_server.serve(self.crm)

    def settings(self, address: str) -> dict[str, str]:
        keys = {f"salesforce_{name}": value for name, value in salesforce_server.KEYS.items()}
        return {**keys, "salesforce_login": address}

    def change(self) -> None:
        self.crm.tick(hours=1)
        opp = test_salesforce.opp
        for n in range(0, 80, 2):
            self.crm.put("Opportunity", opp(n), Amount=n + 0.25, StageName="Won", OwnerId=test_salesforce.BO)
        for n in range(80, 100):
            test_salesforce.add_deal(self.crm, n)
        self.crm.delete("Opportunity", opp(1))
        self.crm.delete("Account", test_salesforce.acc(2))
        self.crm.tick(minutes=10)


class TrytonSide(Side):
    """A real Tryton with thirty opportunities."""

    name = "tryton"

    @contextmanager
    def serve(self, folder: Path) -> Iterator[str]:
        with tryton(folder) as admin:
            self.admin: TrytonAdmin = admin
            self.deals = [admin.add(f"Firm {n}", f"{100 + n}") for n in range(30)]
            yield admin.url

    def settings(self, address: str) -> dict[str, str]:
        said = {"url": address, "database": "bell", "user": "admin", "password": PASSWORD}
        return {f"tryton_{name}": value for name, value in said.items()}

    def change(self) -> None:
        for deal in self.deals[::2]:
            self.admin.change(deal, amount=decimal("7.25"))
            self.admin.call("model.sale.opportunity.opportunity", [deal])
        for deal in self.deals[1:3]:
            self.admin.call("model.sale.opportunity.lost", [deal])
        self.deals += [self.admin.add(f"Later {n}", "5") for n in range(5)]
        self.admin.call("model.sale.opportunity.cancel", [self.deals[5]])
        self.admin.call("model.sale.opportunity.delete", [self.deals[5]])
