"""From signals to sizes: sizing rules and allocators. No forecast is questioned here, none is made."""
