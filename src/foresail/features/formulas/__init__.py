"""The formulas of the catalogue, as graphs of steps: each function returns an expression, none computes anything."""
