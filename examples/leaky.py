"""Buy what is cheap against its usual range. The Sharpe ratio is wonderful. Can you see why?

Try: foresail leaks examples/leaky.py
"""

api = 1
id = "examples/leaky@1"


def weights(bars):
    close = bars["close"]
    usual = close.rolling(21, center=True, min_periods=10).mean()
    spread = close.rolling(63, min_periods=21).std()
    cheap = ((usual - close) / spread).clip(lower=0)
    return cheap.div(cheap.sum(axis=1), axis=0)
