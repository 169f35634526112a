// The graph's clock: the `ts` of messages.
//
// parameters: none
// returns:    one row: ts (microseconds since the epoch)
// locks:      none
// plan:       Projection
RETURN datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
