"""The import journal: what a crash leaves is enough to continue, and another import's journal is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph_service.csv.journal import Done, Journal, fingerprint
from graph_service.csv.parse import Rejected

ONE = Done(0, 3, [2, 4], [Rejected(5, "self", "a user cannot be their own friend")])
TWO = Done(1, 5, [], [])


def written(path: Path) -> Path:
    """A journal with two batches, as a crash leaves it."""
    journal = Journal(path=path, subject="file and graph")
    journal.add(ONE)
    journal.add(TWO)
    journal.close()
    return path


def test_what_was_done_is_known_after_a_kill(tmp_path: Path) -> None:
    """Counts, lines and refusals come back as they were."""
    assert Journal(path=written(tmp_path / "j"), subject="file and graph").done == {0: ONE, 1: TWO}


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_torn_last_line_is_ignored(tmp_path: Path, cut: int) -> None:
    """A kill in the middle of a write costs that batch only, and the next run's lines can be read."""
    path = written(tmp_path / "j")
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path=path, subject="file and graph")
    assert journal.done in ({0: ONE}, {0: ONE, 1: TWO})
    journal.add(Done(2, 1, [], []))
    journal.close()
    assert set(Journal(path=path, subject="file and graph").done) >= {0, 2}


def test_another_file_or_graph_starts_from_the_beginning(tmp_path: Path) -> None:
    """What was finished there does not count here."""
    assert Journal(path=written(tmp_path / "j"), subject="another").done == {}


def test_a_finished_import_leaves_nothing(tmp_path: Path) -> None:
    """So the same file can be imported again."""
    path = written(tmp_path / "j")
    Journal(path=path, subject="file and graph").finish()
    assert not path.exists()


def test_a_fingerprint_changes_with_the_content_and_with_what_it_is_about(tmp_path: Path) -> None:
    """One more friendship, or another graph, is another import."""
    file = tmp_path / "f.csv"
    file.write_text("a,b\nann,ben\n")
    before = fingerprint(file, "graph 1")
    assert fingerprint(file, "graph 1") == before
    assert fingerprint(file, "graph 2") != before
    file.write_text("a,b\nann,ben\nann,cat\n")
    assert fingerprint(file, "graph 1") != before
