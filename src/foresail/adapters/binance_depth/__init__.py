"""Binance: books from a snapshot and depth differences, with trades and best quotes."""
