"""Use cases: what a command, a route or a notebook asks for. ``wiring`` alone names concrete classes."""
