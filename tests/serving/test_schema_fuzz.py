"""Requests made from the OpenAPI document: each answer is one that the document names, and 500 is none."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.specs.openapi.checks import status_code_conformance

from serving.app import create_app
from serving.settings import Settings
from serving.sign_in import start_session
from serving.users import find_user

WHO = [None, "admin@example.com"]
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.mark.parametrize("email", WHO)
def test_no_request_finds_an_undocumented_answer(site, home, email):
    send_to_all(site, home, email, examples=2)


@pytest.mark.slow_study
@pytest.mark.parametrize("email", WHO)
def test_none_of_many_requests_finds_an_undocumented_answer(site, home, email):
    send_to_all(site, home, email, examples=50)


def send_to_all(site, home, email, *, examples):
    document = create_app(Settings(home=home.root)).openapi()
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(operations) == sum(len(METHODS & set(methods)) for methods in document["paths"].values())
    with site.client(email) as client:
        for operation in operations:
            headers = dict(client.headers)
            if email and (operation.method.upper(), operation.path) == ("DELETE", "/api/v1/session"):
                # One of its own, as the others share theirs and this request ends it.
                token = start_session(site.store, find_user(site.store, email).user_id, days=1, label="test")
                headers["authorization"] = f"Bearer {token}"
            send_some(operation, site.address, headers, examples)


def send_some(operation, address, headers, examples):
    @seed(0)
    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy())
    def send(case):
        answer = case.call(base_url=address, headers=headers, timeout=600)
        # 500 is named nowhere; 503 is, where a model or scores are still to be made.
        case.validate_response(answer, checks=[status_code_conformance])

    send()
