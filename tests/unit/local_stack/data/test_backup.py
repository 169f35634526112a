"""What a restore does with the files of the old database: kept until the new one is proved. Starts no server."""

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
    """Puts a database there."""
    for kind in KINDS:
        folder = engine.home / "data" / kind / "neo4j"
        folder.mkdir(parents=True)
        (folder / "store").write_text(word, "utf-8")


def _fails_after(_: None) -> None:
    raise ZeroDivisionError


def there(engine: Neo4jEngine) -> list[str]:
    """What the database's files say; and that nothing else is left."""
    assert not list(engine.home.glob("before-restore*"))
    return [(engine.home / "data" / kind / "neo4j" / "store").read_text("utf-8") for kind in KINDS]


def test_a_restore_that_succeeds_leaves_the_new_database(engine: Neo4jEngine) -> None:
    """And nothing of the old."""
    with _set_aside(engine):
        write(engine, "new")
    assert there(engine) == ["new", "new"]


def test_a_restore_that_fails_puts_the_old_database_back(engine: Neo4jEngine) -> None:
    """Whole, over what had been written of the new."""
    with pytest.raises(ZeroDivisionError), _set_aside(engine):
        _fails_after(write(engine, "new"))
    assert there(engine) == ["old", "old"]


def test_a_restore_after_one_that_was_killed_knows_the_old_database(engine: Neo4jEngine) -> None:
    """What stands in its place is not whole, and is not taken for it."""
    killed = _set_aside(engine)
    killed.__enter__()
    write(engine, "half")
    with pytest.raises(ZeroDivisionError), _set_aside(engine):
        raise ZeroDivisionError
    assert there(engine) == ["old", "old"]


def test_a_restore_into_a_folder_without_a_database_needs_nothing_kept(tmp_path: Path) -> None:
    """Success and failure alike leave no trace of an old one."""
    engine = Neo4jEngine(DataFolder(tmp_path))
    with pytest.raises(ZeroDivisionError), _set_aside(engine):
        raise ZeroDivisionError
    with _set_aside(engine):
        write(engine, "new")
    assert there(engine) == ["new", "new"]
