// Deletes nodes of the outbox, once the notifications of both ends are in their streams.
//
// parameters: nodes: list of element ids
// returns:    one row: done
// locks:      the nodes
// plan:       NodeByElementIdSeek
MATCH (o:Outbox) WHERE elementId(o) IN $nodes
DELETE o
RETURN count(*) AS done
