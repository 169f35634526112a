"""Mutants of what is stored: the watermark, Valkey's client, Cypher, and the simulation's models of them."""

from __future__ import annotations

from tests.mutants.model import Mutant

VALKEY = ("tests/unit/graph_service/valkey/test_commands.py",)
CYPHER = ("tests/unit/graph_service/graph/test_query_promises.py",)
WATERMARK = ("tests/unit/pubnub_bridge/debounce/test_committer.py",)
MODEL = "tests/simulation/graph.py"

MUTANTS = (
    Mutant(
        "watermark not stored", "pubnub_bridge/store/watermark.py",
        "            await self._valkey.raise_to(keys.WATERMARK, newest)\n", "",
        "The next process does not know what was sent.", WATERMARK,
    ),
    Mutant(
        "watermark not loaded", "pubnub_bridge/store/watermark.py",
        "int(await self._valkey.get(keys.WATERMARK) or 0)", "0",
        "The next process does not know what was sent.", WATERMARK,
    ),
    Mutant(
        "clock may step back", "pubnub_bridge/store/watermark.py",
        "        if lowest <= floor:", "        if lowest < 0:",
        "After a fail-over of the graph a newer state carries an older stamp.", WATERMARK,
    ),
    Mutant(
        "append is no transaction", "graph_service/valkey/client.py",
        "            async with self._client.pipeline(transaction=True) as pipe:",
        "            async with self._client.pipeline(transaction=False) as pipe:",
        "A cursor can stand without its entries.", VALKEY,
    ),
    Mutant(
        "no replica awaited", "graph_service/valkey/cluster.py",
        "        if not replicas:", "        if replicas is None:",
        "A fail-over of a Cluster loses what was accepted.", VALKEY,
    ),
    Mutant(
        "part of a Cluster's append is no transaction", "graph_service/valkey/cluster.py",
        '            pipe.execute_command("MULTI")\n', "",
        "A cursor can stand without its entries.", VALKEY,
    ),
    Mutant(
        "hiding without an outbox node", "cypher/presence/visibility.cypher",
        "FOREACH (_ IN CASE WHEN changed AND u:Online THEN [1] ELSE [] END | CREATE (:Outbox {a: u.id, b: u.id}))\n", "",
        "Friends are not notified where the process dies.", CYPHER,
    ),
    Mutant(
        "unfriending without an outbox node", "cypher/friends/unfriend.cypher",
        "FOREACH (_ IN gone | CREATE (:Outbox {a: low.id, b: high.id}))\n", "",
        "Neither user is notified.", CYPHER,
    ),
    Mutant(
        "blocking without an outbox node", "cypher/friends/block.cypher",
        "FOREACH (_ IN gone[..1] | CREATE (:Outbox {a: low.id, b: high.id}))\n", "",
        "The blocked one goes on seeing the blocker.", CYPHER,
    ),
    Mutant(
        "repeat decides anew who was hidden, in Cypher", "cypher/presence/write_flags.cypher",
        "u.invisible AND row[2] >= had AND row[2] > coalesce(u.hidden_from, 0)", "u.invisible AND row[2] >= had",
        "A leave from before hiding is never announced where its process dies.", CYPHER,
    ),
    Mutant(
        "Cypher writes older flags", "cypher/presence/write_flags.cypher",
        "FOREACH (_ IN CASE WHEN row[2] >= had AND NOT row[1]", "FOREACH (_ IN CASE WHEN NOT row[1]",
        "A stale owner overrules a newer state.", CYPHER,
    ),
    Mutant(
        "replica read", "cypher/presence/read_online_friends.cypher",
        "// locks:      none; begins", "// members:    any\n// locks:      none; begins",
        "A member that lags returns an old state with a new stamp.", CYPHER,
    ),
    Mutant(
        "graph writes older flags", MODEL,
        "        if at < state.at:", "        if at < 0:",
        "A stale owner overrules a newer state.", model=True,
    ),
    Mutant(
        "repeat decides anew who was hidden", MODEL,
        "        if state.invisible and at > state.hidden_from:", "        if state.invisible:",
        "A leave from before hiding is never announced where its process dies.", model=True,
    ),
    Mutant(
        "graph hides without an outbox node", MODEL,
        "            self._announce(user, user, clock)", "            pass",
        "Friends are not notified.", model=True,
    ),
    Mutant(
        "outbox says what changed instead of what stands", MODEL,
        '"friends": self.are_friends(one.a, one.b)}', '"friends": one.friends}',
        "Of two changes the older one is announced last.", model=True,
    ),
    Mutant(
        "outbox nodes deleted by pair", MODEL,
        "            if one := self.outbox.pop(node, None):\n",
        "            pair = self.outbox.get(node)\n"
        "            self.outbox = {n: o for n, o in self.outbox.items() if n == node or not pair "
        "or (o.a, o.b) != (pair.a, pair.b)}\n"
        "            if one := self.outbox.pop(node, None):\n",
        "A change that comes while an earlier one of the pair is announced is deleted with it.", model=True,
    ),
)  # fmt: skip
