"""Forecasters: from a feature panel to calibrated quantiles of log returns, and what is read off those quantiles.

Start at ``registry.forecaster``; every forecaster follows ``protocols.Forecaster``.
"""
