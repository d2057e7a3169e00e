"""Strategies: one file each; a step over a market view that returns intents."""
