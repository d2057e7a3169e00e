"""Variance models of econometrics and the forecasters made of them."""

__all__: list[str] = []
