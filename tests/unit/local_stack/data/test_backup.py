"""A restore keeps the old database's files until the new one is verified. Starts no server."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.data.backup import KINDS, _set_aside
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.neo4j_server import Neo4jEngine


@pytest.fixture
def engine(tmp_path: Path) -> Neo4jEngine:
    """A folder with a database, of two files."""
    made = Neo4jEngine(DataFolder(tmp_path))
    write(made, "old")
    return made


def write(engine: Neo4jEngine, word: str) -> None:
    for kind in KINDS:
        folder = engine.home / "data" / kind / "neo4j"
        folder.mkdir(parents=True)
        (folder / "store").write_text(word, "utf-8")


def _fails_after(_: None) -> None:
    raise ZeroDivisionError


def there(engine: Neo4jEngine) -> list[str]:
    """The content of the database's files; checks that nothing else is left."""
    assert not list(engine.home.glob("before-restore*"))
    return [(engine.home / "data" / kind / "neo4j" / "store").read_text("utf-8") for kind in KINDS]


def test_a_restore_that_succeeds_leaves_the_new_database(engine: Neo4jEngine) -> None:
    with _set_aside(engine):
        write(engine, "new")
    assert there(engine) == ["new", "new"]


def test_a_restore_that_fails_puts_the_old_database_back(engine: Neo4jEngine) -> None:
    """Completely, over what had been written of the new one."""
    with pytest.raises(ZeroDivisionError), _set_aside(engine):
        _fails_after(write(engine, "new"))
    assert there(engine) == ["old", "old"]


def test_a_restore_after_one_that_was_killed_knows_the_old_database(engine: Neo4jEngine) -> None:
    """The incomplete database in its place is not taken for it."""
    killed = _set_aside(engine)
    killed.__enter__()
    write(engine, "half")
    with pytest.raises(ZeroDivisionError), _set_aside(engine):
        raise ZeroDivisionError
    assert there(engine) == ["old", "old"]


def test_a_restore_into_a_folder_without_a_database_sets_nothing_aside(tmp_path: Path) -> None:
    """After success and failure there is no old one."""
    engine = Neo4jEngine(DataFolder(tmp_path))
    with pytest.raises(ZeroDivisionError), _set_aside(engine):
        raise ZeroDivisionError
    with _set_aside(engine):
        write(engine, "new")
    assert there(engine) == ["new", "new"]
