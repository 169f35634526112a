// The indexes of this database and their state, for the doctor.
//
// parameters: none
// returns:    one row for each index: name, state, labels
// locks:      none
// plan:       ShowIndexes
SHOW INDEXES YIELD name, state, labelsOrTypes
RETURN name, state, labelsOrTypes AS labels
