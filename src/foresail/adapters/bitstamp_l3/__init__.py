"""Bitstamp: order by order, as its live order stream tells it."""
