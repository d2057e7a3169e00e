"""Compiled steps over a vector of 64 instruments, and the one loop that runs them."""
