"""Frozen nouns of the platform: no input or output, no algorithms. One stage sees another's product as one of these."""
