"""The simulated venue: one compiled matching step on ticks and lots, and the shell that speaks in domain types."""
