"""All mutants, by name."""

from __future__ import annotations

from tests.mutants.catalogue import client, debounce, fanout, ingest, store
from tests.mutants.model import Mutant

MUTANTS: dict[str, Mutant] = {
    one.name: one for room in (ingest, debounce, fanout, store, client) for one in room.MUTANTS
}
