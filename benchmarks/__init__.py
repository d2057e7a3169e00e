"""Benchmarks: stated targets, figures from one run, never part of the test suite."""
