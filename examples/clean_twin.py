"""Buy what is cheap against its usual range: the idea of leaky.py with the past only. The Sharpe ratio is ordinary.

Try: foresail leaks examples/clean_twin.py
"""

api = 1
id = "examples/clean_twin@1"


def weights(bars):
    close = bars["close"]
    usual = close.rolling(21, min_periods=10).mean()
    spread = close.rolling(63, min_periods=21).std()
    cheap = ((usual - close) / spread).clip(lower=0)
    return cheap.div(cheap.sum(axis=1), axis=0)
