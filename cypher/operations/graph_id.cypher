// The id of this database: an interrupted import continues only in the same one.
//
// parameters: none
// returns:    one row: id
// locks:      none
// plan:       ProcedureCall
CALL db.info() YIELD id RETURN id
