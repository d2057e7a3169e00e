"""The market store: quality gate, append-only Parquet, reads as of an instant, panels."""
