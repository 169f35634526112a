// Waits until every index is ready to use.
//
// parameters: seconds: integer
// returns:    nothing
// locks:      none
// plan:       ProcedureCall
CALL db.awaitIndexes($seconds)
