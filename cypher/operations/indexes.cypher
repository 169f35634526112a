// The indexes of this database and how far each is, for the doctor.
//
// parameters: none
// returns:    a row an index: name, state, labels
// locks:      none
// plan:       ShowIndexes
SHOW INDEXES YIELD name, state, labelsOrTypes
RETURN name, state, labelsOrTypes AS labels
