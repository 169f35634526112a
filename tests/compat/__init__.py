"""Messages, schemas and histories of each released `schemaVersion`, unchanged, which must remain understood."""
