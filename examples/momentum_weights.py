"""A strategy as a table of weights: hold the third of the names that rose most over half a year, in equal parts.

Try: foresail leaks examples/momentum_weights.py
     foresail run --bars PATH --plugin examples/momentum_weights.py
"""

api = 1
id = "examples/momentum_weights@1"
every = 5  # decide every 5 bars
context_length = 127  # bars that one decision needs


def weights(bars):
    rise = bars["close"].pct_change(126, fill_method=None)
    best = rise.rank(axis=1, pct=True) > 2 / 3
    return 0.5 * best.div(best.sum(axis=1), axis=0)
