"""Files that look ahead, each with the same idea done right: (name, marked line, kind, body, clean body).

The line that leaks carries ``# HERE``.
"""

from __future__ import annotations

HEAD = 'import numpy as np\nimport pandas as pd\n\napi = 1\nid = "test/case@1"\n\n\n'

CASES: tuple[tuple[str, str, str], ...] = (
    (
        "full_sample_normalisation",
        """def feature(bars):
    close = bars["close"].pct_change()
    usual = close.mean()  # HERE
    width = close.rolling(50).std()
    return (close - usual) / width
""",
        """def feature(bars):
    close = bars["close"].pct_change()
    usual = close.expanding(20).mean()
    width = close.rolling(50).std()
    return (close - usual) / width
""",
    ),
    (
        "full_sample_in_one_expression",
        """def feature(bars):
    close = bars["close"].pct_change()
    return close / close.std()  # HERE
""",
        """def feature(bars):
    close = bars["close"].pct_change()
    return close / close.rolling(60).std()
""",
    ),
    (
        "centred_window_in_a_chain",
        """def weights(bars):
    close = bars["close"]
    usual = (
        close
        .rolling(15, center=True)  # HERE
        .mean()
    )
    return (close < usual) / close.shape[1]
""",
        """def weights(bars):
    close = bars["close"]
    usual = (
        close
        .rolling(15)
        .mean()
    )
    return (close < usual) / close.shape[1]
""",
    ),
    (
        "negative_shift",
        """def feature(bars):
    close = bars["close"]
    ahead = close.shift(-1)  # HERE
    return ahead / close - 1
""",
        """def feature(bars):
    close = bars["close"]
    ahead = close.shift(1)
    return ahead / close - 1
""",
    ),
    (
        "shift_there_and_back_is_not_blamed",
        """def feature(bars):
    close = bars["close"]
    label = close.shift(-5)
    known = label.shift(5)
    volume = bars["volume"]
    busy = volume / volume.max()  # HERE
    return busy * known / close
""",
        """def feature(bars):
    close = bars["close"]
    label = close.shift(-5)
    known = label.shift(5)
    volume = bars["volume"]
    busy = volume / volume.cummax()
    return busy * known / close
""",
    ),
    (
        "backward_fill",
        """def feature(bars):
    close = bars["close"]
    late = close[close.index.dayofweek == 4].reindex(close.index)
    filled = late.bfill()  # HERE
    return close / filled
""",
        """def feature(bars):
    close = bars["close"]
    late = close[close.index.dayofweek == 4].reindex(close.index)
    filled = late.ffill()
    return close / filled
""",
    ),
    (
        "resample_label",
        """def feature(bars):
    close = bars["close"]
    weekly = close.resample("W-FRI", label="left").last()  # HERE
    return close / weekly.reindex(close.index, method="ffill")
""",
        """def feature(bars):
    close = bars["close"]
    weekly = close.resample("W-FRI").last()
    return close / weekly.reindex(close.index, method="ffill")
""",
    ),
    (
        "group_statistic",
        """def feature(bars):
    volume = bars["volume"]
    yearly = volume.groupby(volume.index.year).transform("mean")  # HERE
    return volume / yearly
""",
        """def feature(bars):
    volume = bars["volume"]
    yearly = volume.expanding().mean()
    return volume / yearly
""",
    ),
    (
        "inside_a_function_of_the_file",
        """def score(table):
    centre = table.median()  # HERE
    return table / centre


def feature(bars):
    returns = bars["close"].pct_change()
    return score(returns)
""",
        """def score(table):
    centre = table.rolling(30).median()
    return table / centre


def feature(bars):
    returns = bars["close"].pct_change()
    return score(returns)
""",
    ),
    (
        "lambda",
        """def feature(bars):
    close = bars["close"].pct_change()
    return close.apply(lambda c: c.rank(pct=True))  # HERE
""",
        """def feature(bars):
    close = bars["close"].pct_change()
    return close.apply(lambda c: c.rolling(60).rank(pct=True))
""",
    ),
    (
        "loop_reads_next_row",
        """def feature(bars):
    close = bars["close"].to_numpy()
    out = np.full(close.shape, np.nan)
    for i in range(len(close) - 1):
        out[i] = close[i + 1] / close[i] - 1  # HERE
    return pd.DataFrame(out, index=bars["close"].index, columns=bars["close"].columns)
""",
        """def feature(bars):
    close = bars["close"].to_numpy()
    out = np.full(close.shape, np.nan)
    for i in range(1, len(close)):
        out[i] = close[i] / close[i - 1] - 1
    return pd.DataFrame(out, index=bars["close"].index, columns=bars["close"].columns)
""",
    ),
    (
        "array_put_one_row_early",
        """def feature(bars):
    close = bars["close"].to_numpy()
    step = close[1:] / close[:-1] - 1
    out = np.full(close.shape, np.nan)
    out[:-1] = step  # HERE
    return out
""",
        """def feature(bars):
    close = bars["close"].to_numpy()
    step = close[1:] / close[:-1] - 1
    out = np.full(close.shape, np.nan)
    out[1:] = step
    return out
""",
    ),
    (
        "picked_by_the_end",
        """def weights(bars):
    close = bars["close"]
    growth = close.iloc[-1] / close.bfill().iloc[0]  # HERE
    best = growth.rank() > len(growth) - 5
    return close.notna() * best / 5
""",
        """def weights(bars):
    close = bars["close"]
    growth = close.pct_change(60)
    best = growth.rank(axis=1) > growth.shape[1] - 5
    return close.notna() * best / 5
""",
    ),
    (
        "survivors_only",
        """def weights(bars):
    close = bars["close"]
    alive = close.iloc[40:].dropna(axis=1).columns  # HERE
    return close[alive].notna() / 20
""",
        """def weights(bars):
    close = bars["close"]
    return close.notna() / 20
""",
    ),
    (
        "counts_the_bars_to_come",
        """def weights(bars):
    close = bars["close"]
    ramp = np.linspace(0, 1, len(close))  # HERE
    return close.notna().mul(ramp, axis=0)
""",
        """def weights(bars):
    close = bars["close"]
    ramp = 1 - 1 / np.arange(1, len(close) + 1)
    return close.notna().mul(ramp, axis=0)
""",
    ),
    (
        "range_of_the_next_bar",
        """def feature(bars):
    reach = bars["high"] / bars["low"] - 1
    return reach[::-1].rolling(3).mean()[::-1]  # HERE
""",
        """def feature(bars):
    reach = bars["high"] / bars["low"] - 1
    return reach.rolling(3).mean()
""",
    ),
)
