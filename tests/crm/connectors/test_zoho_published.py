"""The stand-in's answers against the OpenAPI documents that Zoho publishes, where a folder of them is given."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.crm.connectors.zoho_server import FIELDS, KEYS, Record, ZohoCrm

FOLDER = Path(os.environ.get("ZOHO_CRM_OPENAPI", "zoho-crm-v8"))  # noqa: TID251
SCHEMAS = {
    "records": "record.json#/components/schemas/Response_Wrapper",
    "deleted": "record.json#/components/schemas/Deleted_Records_Wrapper",
    "history": "related_records.json#/components/schemas/Response_Wrapper",
    "timeline": "timelines.json#/components/schemas/Response_Wrapper",
    "users": "users.json#/components/schemas/Response_Wrapper",
    "job": "bulk_read.json#/components/schemas/Response_Wrapper",
    "query": "coql.json#/components/schemas/Response_Wrapper",
    "refusal": "record.json#/components/schemas/API_Exception",
}
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no OpenAPI documents of Zoho CRM: set ZOHO_CRM_OPENAPI")


def nullable(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema lists null among the types."""
    if isinstance(node, list):
        return [nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: nullable(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def document(uri: str) -> "Resource[Any]":
    name = uri.rsplit("/", 1)[-1]
    path = FOLDER / name
    text = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return Resource.from_contents(nullable(text), default_specification=DRAFT202012)


def errors(kind: str, body: Record | None) -> list[str]:
    registry: Registry[Any] = Registry(retrieve=document)  # type: ignore[call-arg]
    found = Draft202012Validator({"$ref": SCHEMAS[kind]}, registry=registry).iter_errors(body)
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in found]


@pytest.fixture
def crm() -> ZohoCrm:
    crm = ZohoCrm()
    crm.users.append({"id": "1", "full_name": "Ann Lee", "email": "annlee123@mails.com", "status": "active"})
    crm.put("Deals", "300", Deal_Name="One", Stage="Qualification", Amount=1.5, Owner={"id": "1", "name": "Ann Lee"})
    crm.put("Deals", "301", Deal_Name="Two", Stage="Proposal")
    crm.delete("Deals", "301")
    crm.token({**KEYS, "grant_type": "refresh_token"}, "http://127.0.0.1")
    return crm


@pytest.mark.parametrize(
    ("kind", "path", "query"),
    [
        ("records", "Deals", {"fields": ",".join(FIELDS["Deals"])}),
        ("deleted", "Deals/deleted", {"type": "all"}),
        ("history", "Deals/300/Stage_History", {"fields": "Stage,Modified_Time"}),
        ("timeline", "Deals/300/__timeline", {}),
        ("users", "users", {}),
        ("refusal", "Deals/999/Stage_History", {"fields": "Stage"}),
        ("refusal", "Tasks", {"fields": "Subject"}),
    ],
)
def test_answers_are_as_published(crm: ZohoCrm, kind: str, path: str, query: dict[str, str]) -> None:
    token = {"Authorization": f"Zoho-oauthtoken {min(crm.tokens)}"}
    answer = crm.answer(f"/crm/v8/{path}", query, token)
    assert errors(kind, answer.body) == []
    assert errors(kind, {"data": "none", "users": "none", "__timeline": "none", "code": 1})


def test_queries_and_files_are_answered_as_published(crm: ZohoCrm) -> None:
    token = {"Authorization": f"Zoho-oauthtoken {min(crm.tokens)}"}
    text = "select Stage, Amount from Deals where id > 0 order by id asc limit 2000"
    queried = crm.answer("/crm/v8/coql", {}, token, "POST", {"select_query": text})
    assert (queried.status, errors("query", queried.body)) == (200, [])
    wish = {"query": {"module": {"api_name": "Deals"}, "fields": ["Stage"], "page": 1}}
    made = crm.answer("/crm/bulk/v8/read", {}, token, "POST", wish)
    job = made.body["data"][0]["details"]["id"]
    told = crm.answer(f"/crm/bulk/v8/read/{job}", {}, token)
    # The documents call parts of a query needed that the vendor's own examples leave out.
    assert [e for e in errors("job", told.body) if ".query" not in e] == []
    assert errors("job", {"data": [{"id": 1}]})
