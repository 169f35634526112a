"""What is sent to Valkey: an append and its marks are one transaction, and on a Cluster a replica has it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from graph_service.errors import QueueUnavailable
from graph_service.valkey.client import Valkey
from graph_service.valkey.cluster import Cluster


class Pipeline:
    """Records commands, and returns for the last two what a server does."""

    def __init__(self, replicas: int = 1) -> None:
        self.commands: list[tuple[Any, ...]] = []
        self.transaction: bool | None = None
        self._replicas = replicas

    def __call__(self, transaction: bool) -> Pipeline:
        """Open one."""
        self.transaction = transaction
        return self

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Nothing to close."""

    def xadd(self, key: str, _fields: object) -> None:
        """One entry."""
        self.commands.append(("XADD", key))

    def set(self, key: str, _value: bytes) -> None:
        """One mark."""
        self.commands.append(("SET", key))

    def execute_command(self, *command: Any) -> None:
        """Anything else."""
        self.commands.append(command[:2])

    async def execute(self) -> list[Any]:
        """The results of EXEC and WAIT."""
        return [b"OK", [b"1-0", b"OK"], self._replicas]


async def test_an_append_and_its_marks_are_one_transaction() -> None:
    """Else a cursor could stand without its entries."""
    pipeline = Pipeline()
    client: Any = SimpleNamespace(pipeline=pipeline)
    await Valkey(client=client).append([("fp:{0}:seen", b"{}")], {"fp:{0}:cursor": b"1"})
    assert pipeline.transaction is True
    assert pipeline.commands == [("XADD", "fp:{0}:seen"), ("SET", "fp:{0}:cursor")]


def cluster(pipeline: Pipeline) -> Cluster:
    """One whose only server is the pipeline's."""

    class OneServer(Cluster):
        def _of(self, key: str) -> Any:
            return SimpleNamespace(pipeline=pipeline)

    async def initialize() -> None:
        """Nothing to learn."""

    manager = SimpleNamespace(initialize=initialize)
    client: Any = SimpleNamespace(get_primaries=list, keyslot=lambda _key: 0, nodes_manager=manager)
    return OneServer(client=client, options={})


async def test_on_a_cluster_an_append_is_one_transaction_that_a_replica_has() -> None:
    """A fail-over loses nothing that was accepted."""
    pipeline = Pipeline()
    await cluster(pipeline).append([("fp:{0}:seen", b"{}")], {"fp:{0}:cursor": b"1"})
    words = [command[0] for command in pipeline.commands]
    assert words == ["MULTI", "XADD", "SET", "EXEC", "WAIT"]


async def test_on_a_cluster_an_append_that_no_replica_has_has_failed() -> None:
    """It is repeated."""
    with pytest.raises(QueueUnavailable, match="no replica"):
        await cluster(Pipeline(replicas=0)).append([("fp:{0}:seen", b"{}")])
