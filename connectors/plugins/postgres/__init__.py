"""PostgreSQL as a source, by outbox or by logical replication, and as a sink."""
