"""Outside parties, one folder each. No adapter imports another."""
