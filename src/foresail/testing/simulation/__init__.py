"""Deterministic simulation of the money path: virtual time, a misbehaving venue, a pessimistic disk, and invariants."""
