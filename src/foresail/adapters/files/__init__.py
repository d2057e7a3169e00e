"""Bars in files: Parquet and CSV, described by ``foresail-set.toml``, read strictly and never repaired in silence."""
