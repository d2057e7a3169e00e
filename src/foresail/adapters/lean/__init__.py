"""Sets in the layout of the LEAN engine: raw daily bars, factor files and map files."""
