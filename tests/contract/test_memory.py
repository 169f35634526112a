"""Memory of a query while it runs: a transaction that needs more than its limit is refused."""

from __future__ import annotations

from graph_service.graph import queries
from graph_service.graph.driver import Graph

MIB = 1 << 20
PEOPLE = 2000
CROWD = "UNWIND range(1, $people) AS i CREATE (:User {id: 'u' + toString(i), i: i})"
FRIENDS = """
MATCH (u:User), (f:User) WHERE u.i < f.i AND (u.i * f.i * 7 + u.i * f.i / 13 + f.i / 7) % 20 = 0
CREATE (u)-[:FRIEND {since: 0}]->(f)
"""


async def test_counting_paths_holds_no_copy_of_excluded_users_for_each_count(graph: Graph) -> None:
    """111 MiB of this small crowd were such copies; with 20,000 users a small heap had no suggestions at all."""
    await graph.statement(CROWD, people=PEOPLE)
    await graph.statement(FRIENDS)
    (me,) = await graph.statement(
        "MATCH (u:User) RETURN u.id AS id ORDER BY COUNT { (u)--() } DESC, id LIMIT 1"
    )
    text = "PROFILE " + queries.catalogue()["suggestions"].text
    answer = await graph._driver.execute_query(text, me=me["id"], limit=200)
    assert len(answer.records[0]["ids"]) > 100
    assert answer.summary.profile is not None
    assert answer.summary.profile["args"]["GlobalMemory"] < 20 * MIB
