"""The ground floor: errors, clock, identifiers, numbers, arrays, seeds. Imports nothing of Foresail above it."""
