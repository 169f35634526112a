"""The API document is valid and complete, and explains every code."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate

from graph_service.api.app import OWN
from graph_service.api.openapi import document
from graph_service.api.routing import Route
from graph_service.errors import FriendsError

DOCUMENT = document(OWN)
ROUTES = [route for table in OWN for route in table.routes]


def test_the_document_is_valid_openapi_3_1() -> None:
    """By the validator, references included."""
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_described_and_names_its_authentication(route: Route) -> None:
    """Summary, description, response, problems; a scheme unless it is public."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    assert operation["summary"]
    assert operation["description"]
    assert "200" in operation["responses"]
    assert "500" in operation["responses"]
    public = route.tag in {"probes", "document"}
    assert ("security" in operation) != public
    if not public:
        assert {"429", "503"} <= set(operation["responses"])


def test_operation_ids_are_unique() -> None:
    """Client generators use them as method names."""
    ids = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


def test_every_code_means_one_thing() -> None:
    """No two error classes of this service share a code, except kinds that were never given their own."""

    def every(kind: type[FriendsError]) -> set[type[FriendsError]]:
        return {kind}.union(*(every(one) for one in kind.__subclasses__()))

    mine = {one for one in every(FriendsError) if "code" in vars(one)}
    codes = [one.code for one in mine]
    assert sorted(codes) == sorted(set(codes))


def test_every_status_of_the_table_of_codes_is_an_http_error() -> None:
    """And `temporary` is there, so that clients know whether to retry."""
    table: dict[str, Any] = DOCUMENT["x-problems"]
    assert len(table) > 20
    for one in table.values():
        assert 400 <= one["status"] < 600
        assert one["message"]
        assert one["temporary"] == (one["status"] in {429, 503})
