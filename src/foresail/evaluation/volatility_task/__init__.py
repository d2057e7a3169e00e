"""The volatility benchmark: 31 indices, five days ahead, every forecaster on the same windows, labels joined last."""
