"""The leaks of the list in docs/guide/leaks.md, each as a user would write it, with the same idea done right.

One row per kind: (name, part of the list, words of the cause, column, leaky file, clean file). The line that leaks is
marked ``# HERE``; where several lines share the blame the mark may stand on any of them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KINDS", "Kind"]


class Kind(NamedTuple):
    """One kind of leak."""

    name: str
    listed_as: str
    cause: str
    columns: tuple[str, ...]
    leaky: str
    clean: str


_SPLIT = """    table = data["samples"]
    names = ["f1", "f2", "f3", "f4", "f5", "f6"]
    begin = table["time"].unique()[150]
    train = (table["label_end"] < begin).to_numpy()
    test = (table["time"] >= begin).to_numpy()
    y = table["label"].to_numpy()
"""

_AROUND = """import numpy as np
from sklearn.linear_model import Ridge
{imports}

def experiment(data):
{split}{body}
    return {{"train": np.flatnonzero(train), "test": np.flatnonzero(test), "prediction": prediction}}
"""


def _rows(imports: str, leaky: str, clean: str) -> tuple[str, str]:
    return tuple(  # type: ignore[return-value]
        _AROUND.format(imports=imports, split=_SPLIT, body=body) for body in (leaky, clean)
    )


_FIT = """    model = Ridge().fit(x[train], y[train])
    prediction = model.predict(x[test])"""

_SCALER = _rows(
    "from sklearn.preprocessing import StandardScaler\n",
    '    x = StandardScaler().fit_transform(table[["f3", "f5"]].fillna(0.0))  # HERE\n' + _FIT,
    '    raw = table[["f3", "f5"]].fillna(0.0)\n    x = StandardScaler().fit(raw[train]).transform(raw)\n' + _FIT,
)
_PCA = _rows(
    "from sklearn.decomposition import PCA\n",
    "    raw = table[names].fillna(0.0).to_numpy()\n    parts = PCA(2)\n    parts.fit(raw)  # HERE\n"
    "    x = parts.transform(raw)\n" + _FIT,
    "    raw = table[names].fillna(0.0).to_numpy()\n    parts = PCA(2)\n    parts.fit(raw[train])\n"
    "    x = parts.transform(raw)\n" + _FIT,
)
_IMPUTER = _rows(
    "from sklearn.impute import SimpleImputer\n",
    '    x = SimpleImputer(strategy="mean").fit_transform(table[names])  # HERE\n' + _FIT,
    '    x = SimpleImputer(strategy="mean").fit(table.loc[train, names]).transform(table[names])\n' + _FIT,
)
_SELECTOR = _rows(
    "from sklearn.feature_selection import SelectKBest, f_regression\n",
    "    raw = table[names].fillna(0.0).to_numpy()\n    chosen = SelectKBest(f_regression, k=2).fit(raw, y)  # HERE\n"
    "    x = chosen.transform(raw)\n" + _FIT,
    "    raw = table[names].fillna(0.0).to_numpy()\n"
    "    chosen = SelectKBest(f_regression, k=2).fit(raw[train], y[train])\n    x = chosen.transform(raw)\n" + _FIT,
)
_THRESHOLD = _rows(
    "",
    """    x = table[names].fillna(0.0).to_numpy()
    score = Ridge().fit(x[train], y[train]).predict(x)
    grid = np.quantile(score[train], np.linspace(0.05, 0.95, 91))
    gain = [((score > level) * y).sum() for level in grid]
    level = grid[int(np.argmax(gain))]  # HERE
    prediction = (score[test] > level).astype(float)""",
    """    x = table[names].fillna(0.0).to_numpy()
    score = Ridge().fit(x[train], y[train]).predict(x)
    grid = np.quantile(score[train], np.linspace(0.05, 0.95, 91))
    gain = [((score[train] > level) * y[train]).sum() for level in grid]
    level = grid[int(np.argmax(gain))]
    prediction = (score[test] > level).astype(float)""",
)
_TARGET = _rows(
    "",
    """    x = table[names].fillna(0.0)
    x["gain"] = table["label"].clip(-0.01, 0.01)  # HERE
    x = x.to_numpy()
"""
    + _FIT,
    """    x = table[names].fillna(0.0)
    x["gain"] = table["f1"].fillna(0.0).clip(-0.01, 0.01)
    x = x.to_numpy()
"""
    + _FIT,
)
_PURGE = _rows(
    "",
    """    x = table[names].fillna(0.0).to_numpy()
    train = (table["time"] < begin).to_numpy()  # HERE
"""
    + _FIT,
    "    x = table[names].fillna(0.0).to_numpy()\n" + _FIT,
)
_TUNED = _rows(
    "",
    """    x = table[names].fillna(0.0).to_numpy()
    trials = []
    for strength in (0.01, 1.0, 100.0, 10_000.0):
        model = Ridge(alpha=strength).fit(x[train], y[train])
        trials.append((((model.predict(x[test]) - y[test]) ** 2).mean(), strength))
    best = min(trials)[1]  # HERE
    prediction = Ridge(alpha=best).fit(x[train], y[train]).predict(x[test])""",
    """    x = table[names].fillna(0.0).to_numpy()
    inner = table["label_end"] < table["time"].unique()[100]
    check = train & (table["time"] >= table["time"].unique()[100])
    trials = []
    for strength in (0.01, 1.0, 100.0, 10_000.0):
        model = Ridge(alpha=strength).fit(x[inner], y[inner])
        trials.append((((model.predict(x[check]) - y[check]) ** 2).mean(), strength))
    best = min(trials)[1]
    prediction = Ridge(alpha=best).fit(x[train], y[train]).predict(x[test])""",
)

_ASOF = """import pandas as pd


def feature(bars):
    close = bars["close"]
    table = bars["{table}"]{prepare}
    wide = {wide}
    return wide.reindex(close.index, method="ffill").reindex(columns=close.columns)
"""
_NEWS_WIDE = 'table.groupby(["{stamp}", "instrument"])["score"].last().unstack().ffill()'
_NY = '\n    table["known"] = table["published_local"].dt.tz_localize("{zone}"){shift}{mark}'

KINDS: tuple[Kind, ...] = (
    Kind("scaler", "scaler fit on all data", "learns from all rows", ("f3", "f5"), *_SCALER),
    Kind("pca", "PCA fit on all data", "learns from all rows", ("f1", "f2", "f5"), *_PCA),
    Kind("imputer", "imputer fit on all data", "learns from all rows", ("f1", "f2"), *_IMPUTER),
    Kind("selector", "selector fit on all data", "labels outside the training part", ("label",), *_SELECTOR),
    Kind("threshold", "threshold fit on all data", "labels outside the training part", ("label",), *_THRESHOLD),
    Kind("target", "target among features", "labels outside the training part", ("label",), *_TARGET),
    Kind(
        "lag_0_cousin",
        "lag-0 cousin of the target among features",
        "the target is among the inputs",
        ("label",),
        """def experiment(data):  # HERE
    close, high, low = data["close"], data["high"], data["low"]
    inside = (close - low) / (high - low)
    return {"prediction": inside.iloc[600:], "label": close.pct_change(fill_method=None).iloc[600:]}
""",
        """def experiment(data):
    close, high, low = data["close"], data["high"], data["low"]
    inside = (close - low) / (high - low)
    ahead = close.pct_change(fill_method=None).shift(-1)
    return {"prediction": inside.iloc[600:], "label": ahead.iloc[600:]}
""",
    ),
    Kind(
        "same_bar_close",
        "same-bar close",
        "trades",
        ("close",),
        """trades_at = "close"


def weights(bars):  # HERE
    close = bars["close"]
    fell = close < close.rolling(3).mean()
    return fell / close.shape[1]
""",
        """trades_at = "close"


def weights(bars):
    close = bars["close"].shift(1)
    fell = close < close.rolling(3).mean()
    return fell / close.shape[1]
""",
    ),
    Kind(
        "same_bar_profit",
        "same-bar close, in a profit of its own",
        "earns on prices that nobody can predict",
        ("profit",),
        """def experiment(data):  # HERE
    close = data["close"]
    gain = close.pct_change(fill_method=None)
    held = (close > close.rolling(10).mean()) * 1.0
    return {"profit": (held * gain).mean(axis=1)}
""",
        """def experiment(data):
    close = data["close"]
    gain = close.pct_change(fill_method=None)
    held = (close > close.rolling(10).mean()) * 1.0
    return {"profit": (held.shift(1) * gain).mean(axis=1)}
""",
    ),
    Kind(
        "centred_window",
        "centred rolling window",
        "centred window",
        ("high",),
        'def feature(bars):\n    high = bars["high"]\n    top = high.rolling(11, center=True).max()  # HERE\n'
        "    return high / top\n",
        'def feature(bars):\n    high = bars["high"]\n    top = high.rolling(11).max()\n    return high / top\n',
    ),
    Kind(
        "backward_fill",
        "backward fill",
        "filled backwards",
        ("volume",),
        """def feature(bars):
    busy = bars["volume"].where(bars["volume"] > bars["volume"].rolling(40).quantile(0.8))
    return bars["volume"] / busy.bfill()  # HERE
""",
        """def feature(bars):
    busy = bars["volume"].where(bars["volume"] > bars["volume"].rolling(40).quantile(0.8))
    return bars["volume"] / busy.ffill()
""",
    ),
    Kind(
        "right_labelled_resample",
        "right-labelled resample",
        "label",
        ("close",),
        """def feature(bars):
    close = bars["close"]
    month = close.resample("MS", label="left").last()  # HERE
    return close / month.reindex(close.index, method="ffill")
""",
        """def feature(bars):
    close = bars["close"]
    month = close.resample("MS", label="right").last()
    return close / month.reindex(close.index, method="ffill")
""",
    ),
    Kind(
        "unfinished_bar",
        "unfinished higher-time-frame bar",
        "whole group",
        ("close",),
        """def feature(bars):
    close = bars["close"]
    week = close.groupby(close.index.tz_localize(None).to_period("W")).transform("last")  # HERE
    return close / week - 1
""",
        """def feature(bars):
    close = bars["close"]
    labels = close.index.tz_localize(None).to_period("W")
    week = close.groupby(labels).last().shift(1).reindex(labels)
    return close / week.set_axis(close.index) - 1
""",
    ),
    Kind(
        "time_zone_shift",
        "time-zone shift",
        "received later",
        ("news",),
        _ASOF.format(
            table="news",
            prepare=_NY.format(zone="UTC", shift="", mark=""),
            wide=_NEWS_WIDE.format(stamp="known") + "  # HERE",
        ),
        _ASOF.format(table="news", prepare="", wide=_NEWS_WIDE.format(stamp="available_at")),
    ),
    Kind(
        "daylight_shift",
        "daylight shift",
        "received later",
        ("news",),
        _ASOF.format(
            table="news",
            prepare='\n    late = table["available_at"] - table["published_at"]'
            '\n    table["known"] = table["published_local"].dt.tz_localize("UTC") + pd.Timedelta(hours=4) + late',
            wide='table.sort_values("known").groupby(["known", "instrument"])["score"].last().unstack()  # HERE',
        ),
        _ASOF.format(
            table="news",
            prepare='\n    late = table["available_at"] - table["published_at"]'
            '\n    known = table["published_local"].dt.tz_localize("America/New_York", ambiguous=False)'
            '\n    table["known"] = known.dt.tz_convert("UTC") + late',
            wide='table.sort_values("known").groupby(["known", "instrument"])["score"].last().unstack().ffill()',
        ),
    ),
    Kind(
        "restated_fundamentals",
        "restated fundamentals",
        "restated later",
        ("fundamentals",),
        """def feature(bars):
    close = bars["close"]
    table = bars["fundamentals"]
    newest = table.sort_values("revision").groupby(["instrument", "period_end"], as_index=False).agg(  # HERE
        {"value": "last", "available_at": "first"}
    )
    wide = newest.pivot_table(index="available_at", columns="instrument", values="value").ffill()
    return wide.reindex(close.index, method="ffill").reindex(columns=close.columns)
""",
        """def feature(bars):
    close = bars["close"]
    table = bars["fundamentals"]
    wide = table.pivot_table(index="available_at", columns="instrument", values="value").ffill()
    return wide.reindex(close.index, method="ffill").reindex(columns=close.columns)
""",
    ),
    Kind(
        "publish_time",
        "publish time used instead of receive time",
        "received later",
        ("news",),
        _ASOF.format(table="news", prepare="", wide=_NEWS_WIDE.format(stamp="published_at") + "  # HERE"),
        _ASOF.format(table="news", prepare="", wide=_NEWS_WIDE.format(stamp="available_at")),
    ),
    Kind(
        "survivor_only",
        "survivor-only universe",
        "survivors",
        ("listing",),
        """def weights(bars):
    close = bars["close"]
    listing = bars["listing"]
    alive = listing[listing["delisted_on"].isna()]["instrument"]  # HERE
    rise = close[[name for name in close if name in set(alive)]].pct_change(60, fill_method=None)
    return (rise.rank(axis=1, pct=True) > 0.7) / 5
""",
        """def weights(bars):
    close = bars["close"]
    rise = close.pct_change(60, fill_method=None)
    return (rise.rank(axis=1, pct=True) > 0.7) / 5
""",
    ),
    Kind(
        "index_of_today",
        "index membership of today",
        "membership of a later day",
        ("membership",),
        """def weights(bars):
    close = bars["close"]
    table = bars["membership"]
    today = table[table["member_until"].isna()]["instrument"]  # HERE
    inside = close.columns.isin(today)
    return close.notna().mul(inside, axis=1) / 10
""",
        """def weights(bars):
    close = bars["close"]
    inside = close.notna() & False
    for row in bars["membership"].itertuples():
        when = close.index >= row.member_from
        if row.member_until == row.member_until:
            when &= close.index < row.member_until
        inside.loc[when, row.instrument] = True
    return inside / 10
""",
    ),
    Kind(
        "back_adjusted_level",
        "back-adjusted price level as feature",
        "adjusted backwards",
        ("adjusted_close",),
        'import numpy as np\n\n\ndef feature(bars):\n    return np.log(bars["adjusted_close"])  # HERE\n',
        'import numpy as np\n\n\ndef feature(bars):\n    return np.log(bars["adjusted_close"]).diff(20)\n',
    ),
    Kind(
        "dividend_before_ex_date",
        "dividend before ex-date",
        "moves later rows back",
        ("dividend",),
        """def feature(bars):
    paid = bars["dividend"].shift(-3).rolling(3).sum()  # HERE
    return paid / bars["close"]
""",
        """def feature(bars):
    paid = bars["dividend"].rolling(60).sum()
    return paid / bars["close"]
""",
    ),
    Kind(
        "smoothed_regime",
        "smoothed instead of filtered regime",
        "walks backwards",
        ("close",),
        """import numpy as np
import pandas as pd


def feature(bars):
    gain = bars["close"].pct_change(fill_method=None).mean(axis=1).fillna(0.0).to_numpy()
    like = np.stack([np.exp(-0.5 * (gain / s) ** 2) / s for s in (0.006, 0.015)], axis=1) + 1e-12
    stay = np.array([[0.98, 0.02], [0.05, 0.95]])
    forward = np.full(like.shape, 0.5)
    for t in range(1, len(like)):
        step = like[t] * (forward[t - 1] @ stay)
        forward[t] = step / step.sum()
    backward = np.ones(like.shape)
    for t in range(len(like) - 2, -1, -1):
        step = stay @ (like[t + 1] * backward[t + 1])
        backward[t] = step / step.sum()  # HERE
    both = forward * backward
    stormy = both[:, 1] / both.sum(axis=1)
    return pd.DataFrame({name: stormy for name in bars["close"]}, index=bars["close"].index)
""",
        """import numpy as np
import pandas as pd


def feature(bars):
    gain = bars["close"].pct_change(fill_method=None).mean(axis=1).fillna(0.0).to_numpy()
    like = np.stack([np.exp(-0.5 * (gain / s) ** 2) / s for s in (0.006, 0.015)], axis=1) + 1e-12
    stay = np.array([[0.98, 0.02], [0.05, 0.95]])
    forward = np.full(like.shape, 0.5)
    for t in range(1, len(like)):
        step = like[t] * (forward[t - 1] @ stay)
        forward[t] = step / step.sum()
    return pd.DataFrame({name: forward[:, 1] for name in bars["close"]}, index=bars["close"].index)
""",
    ),
    Kind("no_purge", "overlapping labels without purge", "purge them", ("train rows",), *_PURGE),
    Kind("tuned_on_test", "hyper-parameters chosen on test", "labels outside the training part", ("label",), *_TUNED),
    Kind(
        "across_instruments",
        "window crossing instrument border",
        "border between two instruments",
        ("instrument order",),
        """def feature(bars):
    long = bars["close"].stack()  # HERE
    calm = long.pct_change().rolling(5).std()
    return calm.unstack()
""",
        """def feature(bars):
    return bars["close"].pct_change(fill_method=None).rolling(5).std()
""",
    ),
    Kind(
        "across_days",
        "window crossing day border",
        "",
        ("close",),
        """import numpy as np


def feature(bars):
    close = bars["close"]
    out = np.full(close.shape, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(close.to_numpy(), 7, axis=0)
    out[: len(windows)] = np.log(close.to_numpy()[: len(windows)] / windows.mean(axis=2))  # HERE
    return out
""",
        """import numpy as np


def feature(bars):
    close = bars["close"]
    out = np.full(close.shape, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(close.to_numpy(), 7, axis=0)
    out[6:] = np.log(close.to_numpy()[6:] / windows.mean(axis=2))
    return out
""",
    ),
)
