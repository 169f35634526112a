"""What a mutant is: one text of one file, replaced by another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class NoLongerApplies(Exception):
    """A mutant's text does not stand exactly once in its file."""


@dataclass(frozen=True)
class Mutant:
    """One change of the real code."""

    name: str
    file: str
    before: str
    after: str
    breaks: str
    """What goes wrong with it, or, where it is harmless, what might be thought to."""
    tests: tuple[str, ...] = ()
    """The test files of its room, run before the simulation."""
    harmless: str = ""
    """Why no test can fail, where that is so."""
    model: bool = False
    """Whether it changes a model of the simulation, which stands for a database's query or for an app."""

    def applied(self, source: str) -> str:
        """The changed text of its file."""
        found = source.count(self.before)
        if found != 1:
            raise NoLongerApplies(f"{self.name}: its text stands {found} times in {self.file}")
        return source.replace(self.before, self.after)

    def source(self, root: Path = ROOT) -> str:
        """The unchanged text of its file."""
        return (root / self.file).read_text("utf-8")
