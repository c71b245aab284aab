"""The OpenAPI document: every route described, with an example that its model accepts and its problems named."""

import pytest
from fastapi.routing import APIRoute

from serving import routes
from serving.app import _routers, create_app
from serving.exports import CSV, XLSX
from serving.settings import Settings


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return create_app(Settings(home=tmp_path_factory.mktemp("home")))


def operations(app):
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_has_a_description_and_names_its_problems(app):
    for name, operation in operations(app):
        assert len(operation["description"]) > 20, name
        # What watches the service takes nothing and needs no sign-in.
        named = {"400", "401", "403", "404", "422", "503"} if "/api/" in name else {"403"}
        assert named <= set(operation["responses"]), name


def test_every_answer_but_files_has_an_example(app):
    files = {CSV, XLSX, "application/zip", "application/pdf", "text/html"}
    for name, operation in operations(app):
        answers = [r for s, r in operation["responses"].items() if s in ("200", "201", "202")]
        texts = [c for r in answers for t, c in r.get("content", {}).items() if t not in files]
        assert all("example" in text for text in texts), name


def test_what_watches_the_service_is_described_too(app):
    paths = {path for path in app.openapi()["paths"] if not path.startswith("/api/")}
    assert paths == {"/healthz", "/readyz", "/metrics"}


def test_every_example_is_one_that_its_model_accepts():
    found = 0
    for route in (r for router in _routers(routes) for r in router.routes):
        assert isinstance(route, APIRoute)
        for answer in route.responses.values():
            value = answer.get("content", {}).get("application/json", {}).get("example")
            if value is not None:
                found += 1
                model = route.response_model
                assert set(value) == {*model.model_fields, *model.model_computed_fields}, route.path
                route.response_model.model_validate(value)
    assert found >= 11
