"""Prediction intervals with a promised coverage, from any point or quantile forecast."""
