"""What was released must go on being understood: messages, schemas and histories of each `schemaVersion`, kept as they were."""
