"""Execution: from targets to orders, what trading costs, and the simulated venue that fills orders on bars."""
