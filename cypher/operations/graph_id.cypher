// What tells this database from any other: an import that was interrupted goes on only where it began.
//
// parameters: none
// returns:    one row: id
// locks:      none
// plan:       ProcedureCall
CALL db.info() YIELD id RETURN id
