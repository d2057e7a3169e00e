"""Forecasters made of decision trees."""
