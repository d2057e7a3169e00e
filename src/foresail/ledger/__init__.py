"""The ledger: journal entries, the books that follow from them, round trips. Replay equals the live state."""
