"""`bellwether sync`: a CRM into a home, and keys that come from the environment or from a closed file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crm.connectors.base import BadCrmKey
from crm.connectors.fxiaoke import FxiaokeKeys
from crm.connectors.hubspot import HubSpotKeys
from crm.connectors.salesforce import SalesforceKeys
from crm.connectors.tryton import TrytonKeys
from crm.connectors.tryton.rpc import TrytonRpc
from crm.connectors.zoho import ZohoKeys
from crm.lake import Lake
from serving.cli import app
from serving.crm_keys import (
    BadKeyFile,
    NoCrmKey,
    OpenKeyFile,
    fxiaoke_keys,
    hubspot_keys,
    salesforce_keys,
    tryton_keys,
    zoho_keys,
)
from serving.home import SampleHome
from serving.settings import Settings
from tests.crm.connectors.fxiaoke_server import KEYS as FXIAOKE
from tests.crm.connectors.fxiaoke_server import FxiaokeCrm, serve
from tests.crm.connectors.zoho_server import KEYS, ZohoCrm, ZohoServer

FILE = "zoho:\n  client_id: client-1\n  client_secret: hush-secret\n  refresh_token: hush-refresh\n  data_centre: eu\n"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    crm = ZohoCrm()
    crm.users.append({"id": "1", "full_name": "Ann Lee"})
    crm.put("Deals", "300", Deal_Name="One", Stage="Qualification", Closing_Date="2026-06-30", Owner={"id": "1"})
    with ZohoServer(crm) as url:
        monkeypatch.setenv("BELLWETHER_ZOHO_ACCOUNTS", url)
        for name, value in KEYS.items():
            monkeypatch.setenv(f"BELLWETHER_ZOHO_{name.upper()}", value)
        yield url


@pytest.mark.usefixtures("address")
def test_sync_fills_a_home_and_says_what_came(tmp_path: Path) -> None:
    home = tmp_path / "ours"
    said = CliRunner().invoke(app, ["sync", "zoho", "--home", str(home)], catch_exceptions=False).output
    assert "deals: 1 new, 0 changed, 0 unchanged, 0 refused, 0 gone" in said
    # One user, one deal, and its first stage in the log.
    assert f"3 rows read into {home}. Next: bellwether train --home {home}" in said
    assert Lake(home / "lake").view().arrow("deals").column("stage").to_pylist() == ["Qualification"]
    files = [f for f in home.rglob("*") if f.is_file()]
    assert home / "cursors/zoho.json" in files
    assert not any(b"hush" in f.read_bytes() for f in files)


@pytest.mark.usefixtures("address")
def test_the_sample_company_takes_no_crm(tmp_path: Path) -> None:
    (tmp_path / "company.yaml").write_text("sample: true\n")
    with pytest.raises(SampleHome):
        CliRunner().invoke(app, ["sync", "zoho", "--home", str(tmp_path)], catch_exceptions=False)


def key_file(folder: Path, text: str, mode: int = 0o600) -> Settings:
    path = folder / "keys.yaml"
    path.write_text(text)
    path.chmod(mode)
    return Settings(keys=path)


def test_keys_come_from_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    assert zoho_keys(key_file(tmp_path, FILE)) == ZohoKeys(**KEYS, data_centre="eu")
    with pytest.raises(OpenKeyFile, match=r"mode 640\). Close it: chmod 600"):
        zoho_keys(key_file(tmp_path, FILE, 0o640))
    with pytest.raises(BadKeyFile, match="is no YAML"):
        zoho_keys(key_file(tmp_path, "zoho: [1"))
    with pytest.raises(BadKeyFile, match="names no keys of zoho"):
        zoho_keys(key_file(tmp_path, "zoho: word"))
    with pytest.raises(NoCrmKey, match=r"zoho: refresh_token is missing. Give BELLWETHER_ZOHO_REFRESH_TOKEN"):
        zoho_keys(key_file(tmp_path, "zoho: {client_id: a, client_secret: b}"))


def test_keys_of_tryton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_TRYTON_PASSWORD", "hush")
    text = "tryton: {url: https://erp.example.org, database: ours, user: reader, password: other}"
    keys = tryton_keys(key_file(tmp_path, text))
    assert keys == TrytonKeys("https://erp.example.org", "ours", "reader", "hush")
    assert "hush" not in repr(keys)
    with pytest.raises(BadCrmKey, match=r"'http://erp.example.org' is not encrypted"):
        TrytonRpc(replace(keys, url="http://erp.example.org"), max_calls=1)


def test_keys_of_fxiaoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "fxiaoke: {app_id: a, app_secret: hush, permanent_code: hush2, user_id: '1000', cloud: ali}"
    assert fxiaoke_keys(key_file(tmp_path, text)) == FxiaokeKeys("a", "hush", "hush2", "1000", "ali", "Asia/Shanghai")
    monkeypatch.setenv("BELLWETHER_FXIAOKE_CLOUD", "huawei")
    assert fxiaoke_keys(key_file(tmp_path, text)).cloud == "huawei"
    with pytest.raises(BadKeyFile, match="says time_zone 'Mars' for fxiaoke, which is none"):
        fxiaoke_keys(key_file(tmp_path, text.replace("cloud: ali", "time_zone: Mars")))


def test_keys_of_salesforce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "salesforce: {login: https://firm.example.com, client_id: a, client_secret: hush}"
    assert salesforce_keys(key_file(tmp_path, text)) == SalesforceKeys("https://firm.example.com", "a", "hush")
    monkeypatch.setenv("BELLWETHER_SALESFORCE_REFRESH_TOKEN", "hush-refresh")
    assert salesforce_keys(key_file(tmp_path, text)).refresh_token == "hush-refresh"


def test_keys_of_hubspot_are_a_token_or_a_client_with_a_refresh_token(tmp_path: Path) -> None:
    assert hubspot_keys(key_file(tmp_path, "hubspot: {token: hush}")) == HubSpotKeys(token="hush")
    text = "hubspot: {client_id: a, client_secret: b, refresh_token: c}"
    assert hubspot_keys(key_file(tmp_path, text)) == HubSpotKeys(client_id="a", client_secret="b", refresh_token="c")
    with pytest.raises(NoCrmKey, match=r"hubspot: token is missing. Give BELLWETHER_HUBSPOT_TOKEN"):
        hubspot_keys(key_file(tmp_path, "hubspot: {}"))


def test_a_sync_of_fxiaoke_keeps_its_token_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crm = FxiaokeCrm()
    crm.put("NewOpportunityObj", "a1", name="One", sales_stage="s1", owner=["1000"])
    for name, value in FXIAOKE.items():
        monkeypatch.setenv(f"BELLWETHER_FXIAOKE_{name.upper()}", value)
    with serve(crm) as url:
        monkeypatch.setenv("BELLWETHER_FXIAOKE_HOST", url)
        said = CliRunner().invoke(app, ["sync", "fxiaoke", "--home", str(tmp_path)], catch_exceptions=False).output
    assert "deals: 1 new" in said
    [token] = (tmp_path / "tokens").glob("*.token")
    others = [f for f in tmp_path.rglob("*") if f.is_file() and f != token]
    assert not any(b"hush" in f.read_bytes() for f in others)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_ZOHO_CLIENT_ID", "client-2")
    assert zoho_keys(key_file(tmp_path, FILE)).client_id == "client-2"
