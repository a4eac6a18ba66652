"""Files to events: a watched folder or a stream of CSV, JSON Lines, Parquet or Excel."""
