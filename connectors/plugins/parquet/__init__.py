"""An inbox as Parquet files, a folder for each event type and day."""
