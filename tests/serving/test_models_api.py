"""Models by the API: who may put a version in use, and what is noted of it."""

import pytest
from sqlalchemy import select

from serving.model_changes import PROMOTED, ROLLED_BACK
from serving.tables.audit import AuditEntry
from tests.serving.live_site import train_win
from training import registry

WHY = {"why": "Better on new business."}


@pytest.fixture
def versions(live_site):
    """The version in use, and a newer one that is not."""
    first = next(v["version"] for v in listed(live_site) if v["in_use"])
    second = train_win(live_site.home)
    registry.roll_back("win", tracking=live_site.home.tracking)
    return first, second


def listed(site):
    with site.client("analyst@example.com") as client:
        return client.get("/models").json()["versions"]


def test_a_version_is_put_in_use_and_back_and_both_are_noted(live_site, versions):
    first, second = versions
    with live_site.client("analyst@example.com") as client:
        promoted = client.post(f"/models/win/versions/{second}/promote", json=WHY).json()
        assert promoted == {"what": "win", "version": second}
        score = {"deals": [{"stage": "Qualify", "created_at": "2026-01-05T09:00:00Z"}]}
        assert client.post("/score", json=score).json()["model_version"] == second
        assert [v["version"] for v in listed(live_site) if v["in_use"]] == [second]
        assert client.post("/models/win/roll-back", json=WHY).json()["version"] == first
    with live_site.store.reading() as session:
        kept = session.scalars(select(AuditEntry).order_by(AuditEntry.audit_id)).all()
    changes = [e for e in kept if e.what in (PROMOTED, ROLLED_BACK)]
    noted = [(e.who, e.what, e.detail["version"], e.detail["why"]) for e in changes][-2:]
    assert noted == [
        ("analyst@example.com", "promote model", second, WHY["why"]),
        ("analyst@example.com", "roll back model", first, WHY["why"]),
    ]


def test_only_analysts_and_administrators_may_with_a_reason(live_site):
    with live_site.client("rep@example.com") as client:
        answer = client.post("/models/win/versions/1/promote", json=WHY)
        assert (answer.status_code, "analyst or admin" in answer.json()["detail"]) == (403, True)
    with live_site.client() as client:
        assert client.post("/models/win/roll-back", json=WHY).status_code == 401
    with live_site.client("admin@example.com") as client:
        assert client.post("/models/win/roll-back", json={}).status_code == 422
        assert client.post("/models/win/versions/99/promote", json=WHY).status_code == 404
        assert client.post("/models/none/roll-back", json=WHY).status_code == 422


def test_the_page_puts_a_version_in_use_and_back(live_site, versions):
    first, second = versions
    page = f"{live_site.address}/models"
    with live_site.client("analyst@example.com") as client:
        text = client.get(page).text
        assert f'name="version" value="{second}"' in text
        assert f'name="version" value="{first}"' not in text  # it is in use
        answer = client.post(f"{page}/win/promote", data={"version": second, **WHY})
        assert (answer.status_code, answer.headers["location"]) == (303, "/models#win")
        assert [v["version"] for v in listed(live_site) if v["in_use"]] == [second]
        assert WHY["why"] in client.get(page).text
        client.post(f"{page}/win/roll-back", data=WHY)
        assert [v["version"] for v in listed(live_site) if v["in_use"]] == [first]
