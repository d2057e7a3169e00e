"""Risk rules: one limit per file. A rule may only shrink or refuse."""
