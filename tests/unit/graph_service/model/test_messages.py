"""The published schemas are those of the code, and messages conform to them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from graph_service.model.messages import KINDS, MESSAGE, schemas

FOLDER = Path(__file__).parents[4] / "docs" / "schemas"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_published_schema_is_current(name: str) -> None:
    """Write them again with `python -m graph_service.model.messages docs/schemas`."""
    assert (FOLDER / name).read_text("utf-8") == schemas()[name]


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_a_valid_one(name: str) -> None:
    """JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(json.loads(schemas()[name]))


def test_every_kind_has_a_schema() -> None:
    """None is forgotten."""
    assert len(schemas()) == len(KINDS)


def test_members_that_are_not_known_are_ignored() -> None:
    """So that a newer server may send more to an older client."""
    said = {
        "type": "friend.online",
        "schemaVersion": "1.0.0",
        "eventId": "evt_presence_ann_1",
        "ts": "2026-01-31T09:30:00.123456Z",
        "payload": {"userId": "ann", "name": "Ann", "mood": "good"},
        "more": 1,
    }
    assert MESSAGE.validate_python(said).event_id == "evt_presence_ann_1"


def test_a_stamp_without_its_six_digits_is_refused() -> None:
    """Texts of equal length sort as times do."""
    said = {
        "type": "friend.removed",
        "schemaVersion": "1.0.0",
        "eventId": "e",
        "ts": "2026-01-31T09:30:00Z",
        "payload": {"userId": "ann"},
    }
    with pytest.raises(ValidationError, match="ts"):
        MESSAGE.validate_python(said)
