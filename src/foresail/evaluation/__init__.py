"""Judges what the engine produced, or returns made elsewhere: canaries, leak hunter, trials, verdict."""
