"""Refused restores, with Neo4j's real tools: a copy unlike its note, and a graph that would be lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_stack.data import backup
from local_stack.engines.launcher import running
from tests.contract.test_backup import SMALL, fill
from tests.support.embedded import EMBEDDED

pytestmark = [pytest.mark.operations, pytest.mark.timeout(600)]


async def test_a_refused_backup_or_restore_leaves_the_graph_as_it_was(tmp_path: Path) -> None:
    """First a file that exists, then a copy whose counts differ from its note, then a graph with users without --replace."""
    data, file = tmp_path / "data", tmp_path / "copy.dump"
    async with running(data, SMALL, EMBEDDED) as engines:
        await fill(engines, "ann", "ben", "cleo")
    await backup.backup(data, file, lambda _: None)
    with pytest.raises(backup.FileExists):
        await backup.backup(data, file, pytest.fail)
    note = json.loads(backup.note_path(file).read_text("utf-8"))
    backup.note_path(file).write_text(json.dumps(note | {"people": 4}), "utf-8")
    with pytest.raises(backup.NotTheSame, match="as it was"):
        await backup.restore(data, file, lambda _: None, replace=True)
    with pytest.raises(backup.HoldsPeople, match="3 people"):
        await backup.restore(data, file, lambda _: None)
    assert not list((data / "neo4j").glob("before-restore*"))
