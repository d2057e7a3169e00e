"""What may not happen: named limits, one rule per file, and the gate that every order passes."""
