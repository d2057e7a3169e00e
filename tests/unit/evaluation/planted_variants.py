"""Leaks in other styles than the listed ones, written after the hunters were finished: (name, leaky, clean)."""
# ruff: noqa: E501 the bodies are users' code, which has lines of any length

from __future__ import annotations

__all__ = ["INNOCENT", "VARIANTS"]

_HEAD = "import numpy as np\nimport pandas as pd\n"

_EXPERIMENT = """
def experiment(data):
    frame = data["samples"].copy()
    cols = [c for c in frame.columns if c.startswith("f")]
    when = frame["time"].sort_values().unique()
    start = when[160]
"""

_BODIES: tuple[tuple[str, str, str], ...] = (
    (
        "groupby_transform_zscore",
        """
def feature(bars):
    long = bars["close"].pct_change(fill_method=None).stack().rename("r").reset_index()
    long.columns = ["when", "name", "r"]
    g = long.groupby("name")["r"]
    long["z"] = (long["r"] - g.transform("mean")) / g.transform("std")
    return long.pivot(index="when", columns="name", values="z")
""",
        """
def feature(bars):
    long = bars["close"].pct_change(fill_method=None).stack().rename("r").reset_index()
    long.columns = ["when", "name", "r"]
    g = long.groupby("when")["r"]
    long["z"] = (long["r"] - g.transform("mean")) / g.transform("std")
    return long.pivot(index="when", columns="name", values="z")
""",
    ),
    (
        "numpy_global_minmax",
        """
def feature(bars):
    p = np.log(bars["close"].to_numpy())
    lo, hi = np.nanmin(p, axis=0), np.nanmax(p, axis=0)
    return (p - lo) / (hi - lo)
""",
        """
def feature(bars):
    p = np.log(bars["close"].to_numpy())
    lo, hi = np.fmin.accumulate(p, axis=0), np.fmax.accumulate(p, axis=0)
    return np.where(hi > lo, (p - lo) / np.where(hi > lo, hi - lo, 1.0), np.nan)
""",
    ),
    (
        "loop_swing_points",
        """
def feature(bars):
    high = bars["high"].to_numpy()
    mark = np.zeros(high.shape)
    for j in range(high.shape[1]):
        for i in range(2, len(high) - 2):
            if high[i, j] == max(high[i - 2 : i + 3, j]):
                mark[i, j] = 1.0
    return mark
""",
        """
def feature(bars):
    high = bars["high"].to_numpy()
    mark = np.zeros(high.shape)
    for j in range(high.shape[1]):
        for i in range(4, len(high)):
            if high[i - 2, j] == max(high[i - 4 : i + 1, j]):
                mark[i, j] = 1.0
    return mark
""",
    ),
    (
        "hidden_shift",
        """
STEP = -1


def align(x, k=STEP):
    return x.shift(k)


def weights(bars):
    gain = bars["close"].pct_change(fill_method=None)
    return (align(gain) > 0).astype(float) / gain.shape[1]
""",
        """
STEP = 1


def align(x, k=STEP):
    return x.shift(k)


def weights(bars):
    gain = bars["close"].pct_change(fill_method=None)
    return (align(gain) > 0).astype(float) / gain.shape[1]
""",
    ),
    (
        "weekly_merged_by_date",
        """
def feature(bars):
    c = bars["close"]
    weekly = c.resample("W-FRI").last()
    key = c.index.to_series().dt.tz_localize(None).dt.to_period("W-FRI").dt.end_time.dt.normalize().dt.tz_localize("UTC")
    merged = weekly.reindex(pd.DatetimeIndex(key))
    return c / merged.to_numpy() - 1
""",
        """
def feature(bars):
    c = bars["close"]
    weekly = c.resample("W-FRI").last().shift(1)
    key = c.index.to_series().dt.tz_localize(None).dt.to_period("W-FRI").dt.end_time.dt.normalize().dt.tz_localize("UTC")
    merged = weekly.reindex(pd.DatetimeIndex(key))
    return c / merged.to_numpy() - 1
""",
    ),
    (
        "interpolate_gaps",
        """
def feature(bars):
    v = bars["volume"]
    v = v[v.index.dayofweek != 2].reindex(v.index)
    return np.log(v.interpolate()).diff()
""",
        """
def feature(bars):
    v = bars["volume"]
    v = v[v.index.dayofweek != 2].reindex(v.index)
    return np.log(v.ffill()).diff()
""",
    ),
    (
        "ewm_on_reversed",
        """
def feature(bars):
    r = bars["close"].pct_change(fill_method=None)
    back = r.iloc[::-1].ewm(halflife=5).mean().iloc[::-1]
    return 0.5 * (back + r.ewm(halflife=5).mean())
""",
        """
def feature(bars):
    r = bars["close"].pct_change(fill_method=None)
    return r.ewm(halflife=5).mean()
""",
    ),
    (
        "rank_over_history",
        """
def weights(bars):
    v = bars["volume"].rank(pct=True)
    return (v > 0.9) / 20
""",
        """
def weights(bars):
    v = bars["volume"].expanding(20).rank(pct=True)
    return (v > 0.9) / 20
""",
    ),
    (
        "global_quantile_clip",
        """
def feature(bars):
    r = bars["close"].pct_change(5, fill_method=None)
    return r.clip(r.quantile(0.02), r.quantile(0.98), axis=1)
""",
        """
def feature(bars):
    r = bars["close"].pct_change(5, fill_method=None)
    lo, hi = r.expanding(50).quantile(0.02), r.expanding(50).quantile(0.98)
    return r.clip(lo, hi)
""",
    ),
    (
        "train_test_split_shuffled",
        _EXPERIMENT
        + """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import train_test_split
    a, b = train_test_split(frame.index, test_size=0.3, random_state=1)
    x = frame[cols].fillna(0)
    m = RandomForestRegressor(10, max_depth=3, random_state=0).fit(x.loc[a], frame.loc[a, "label"])
    return {"train": a, "test": b, "prediction": m.predict(x.loc[b])}
""",
        _EXPERIMENT
        + """
    from sklearn.ensemble import RandomForestRegressor
    a, b = frame.index[frame["label_end"] < start], frame.index[frame["time"] >= start]
    x = frame[cols].fillna(0)
    m = RandomForestRegressor(10, max_depth=3, random_state=0).fit(x.loc[a], frame.loc[a, "label"])
    return {"train": a, "test": b, "prediction": m.predict(x.loc[b])}
""",
    ),
    (
        "kfold_shuffled",
        _EXPERIMENT
        + """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    x, y = frame[cols].fillna(0).to_numpy(), (frame["label"] > 0).to_numpy()
    folds = []
    for a, b in KFold(4, shuffle=True, random_state=3).split(x):
        m = LogisticRegression().fit(x[a], y[a])
        folds.append({"train": a, "test": b, "prediction": m.predict_proba(x[b])[:, 1]})
    return folds
""",
        _EXPERIMENT
        + """
    from sklearn.linear_model import LogisticRegression
    x, y = frame[cols].fillna(0).to_numpy(), (frame["label"] > 0).to_numpy()
    folds = []
    for first in (100, 150, 199):
        a = np.flatnonzero(frame["label_end"] < when[first])
        b = np.flatnonzero((frame["time"] >= when[first]) & (frame["time"] < when[first + 40]))
        m = LogisticRegression().fit(x[a], y[a])
        folds.append({"train": a, "test": b, "prediction": m.predict_proba(x[b])[:, 1]})
    return folds
""",
    ),
    (
        "pipeline_fit_then_cut",
        _EXPERIMENT
        + """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer
    from sklearn.linear_model import Ridge
    from sklearn.impute import SimpleImputer
    tr, te = frame["label_end"] < start, frame["time"] >= start
    prep = make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=50))
    frame[cols] = prep.fit_transform(frame[cols])
    model = Ridge().fit(frame.loc[tr, cols], frame.loc[tr, "label"])
    return {"train": tr, "test": te, "prediction": pd.Series(model.predict(frame.loc[te, cols]), frame.index[te])}
""",
        _EXPERIMENT
        + """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer
    from sklearn.linear_model import Ridge
    from sklearn.impute import SimpleImputer
    tr, te = frame["label_end"] < start, frame["time"] >= start
    model = make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=50), Ridge())
    model.fit(frame.loc[tr, cols], frame.loc[tr, "label"])
    return {"train": tr, "test": te, "prediction": pd.Series(model.predict(frame.loc[te, cols]), frame.index[te])}
""",
    ),
    (
        "correlation_screen_and_best_of_many",
        _EXPERIMENT
        + """
    x = frame[cols].fillna(frame[cols].expanding().mean()).fillna(0)
    score = {c: abs(np.corrcoef(x[c], frame["label"])[0, 1]) for c in cols}
    keep = sorted(score, key=score.get)[-2:]
    tr, te = np.flatnonzero(frame["label_end"] < start), np.flatnonzero(frame["time"] >= start)
    A = np.c_[np.ones(len(x)), x[keep].to_numpy()]
    beta = np.linalg.lstsq(A[tr], frame["label"].to_numpy()[tr], rcond=None)[0]
    return {"train": tr, "test": te, "prediction": A[te] @ beta}
""",
        _EXPERIMENT
        + """
    tr, te = np.flatnonzero(frame["label_end"] < start), np.flatnonzero(frame["time"] >= start)
    x = frame[cols].fillna(frame[cols].iloc[tr].mean())
    score = {c: abs(np.corrcoef(x[c].iloc[tr], frame["label"].iloc[tr])[0, 1]) for c in cols}
    keep = sorted(score, key=score.get)[-2:]
    A = np.c_[np.ones(len(x)), x[keep].to_numpy()]
    beta = np.linalg.lstsq(A[tr], frame["label"].to_numpy()[tr], rcond=None)[0]
    return {"train": tr, "test": te, "prediction": A[te] @ beta}
""",
    ),
    (
        "early_stopping_on_test",
        _EXPERIMENT
        + """
    import lightgbm as lgb
    x, y = frame[cols].to_numpy(), frame["label"].to_numpy()
    tr, te = np.flatnonzero(frame["label_end"] < start), np.flatnonzero(frame["time"] >= start)
    fit = {"objective": "l2", "verbose": -1, "num_threads": 1, "seed": 1, "learning_rate": 0.3, "deterministic": True}
    d = lgb.Dataset(x[tr], y[tr])
    m = lgb.train(fit, d, 60, [lgb.Dataset(x[te], y[te], reference=d)], callbacks=[lgb.early_stopping(3, verbose=False)])
    return {"train": tr, "test": te, "prediction": m.predict(x[te], num_iteration=m.best_iteration)}
""",
        _EXPERIMENT
        + """
    import lightgbm as lgb
    x, y = frame[cols].to_numpy(), frame["label"].to_numpy()
    tr, te = np.flatnonzero(frame["label_end"] < start), np.flatnonzero(frame["time"] >= start)
    fit = {"objective": "l2", "verbose": -1, "num_threads": 1, "seed": 1, "learning_rate": 0.3, "deterministic": True}
    a, b = tr[: int(0.8 * len(tr))], tr[int(0.85 * len(tr)) :]
    d = lgb.Dataset(x[a], y[a])
    m = lgb.train(fit, d, 60, [lgb.Dataset(x[b], y[b], reference=d)], callbacks=[lgb.early_stopping(3, verbose=False)])
    return {"train": tr, "test": te, "prediction": m.predict(x[te], num_iteration=m.best_iteration)}
""",
    ),
    (
        "convolve_same",
        """
def feature(bars):
    c = bars["close"].ffill().fillna(1.0)
    kernel = np.ones(9) / 9
    smooth = np.stack([np.convolve(c[k].to_numpy(), kernel, mode="same") for k in c], axis=1)
    return c / smooth
""",
        """
def feature(bars):
    c = bars["close"].ffill().fillna(1.0)
    kernel = np.ones(9) / 9
    smooth = np.stack([np.convolve(c[k].to_numpy(), kernel)[: len(c)] for k in c], axis=1)
    return c / smooth
""",
    ),
    (
        "savgol",
        """
from scipy.signal import savgol_filter


def feature(bars):
    c = bars["close"].ffill().fillna(1.0)
    return pd.DataFrame(savgol_filter(c.to_numpy(), 15, 2, axis=0, deriv=1), c.index, c.columns)
""",
        """
from scipy.signal import savgol_coeffs, lfilter


def feature(bars):
    c = bars["close"].ffill().fillna(1.0)
    taps = savgol_coeffs(15, 2, pos=14, use="dot")[::-1]
    return pd.DataFrame(lfilter(taps, 1.0, c.to_numpy(), axis=0), c.index, c.columns)
""",
    ),
    (
        "filtfilt",
        """
from scipy.signal import butter, filtfilt


def weights(bars):
    c = np.log(bars["close"]).ffill().fillna(0.0)
    b, a = butter(2, 0.1)
    trend = filtfilt(b, a, c.to_numpy(), axis=0)
    up = np.vstack([np.zeros((1, c.shape[1])), np.diff(trend, axis=0)]) > 0
    return up / c.shape[1]
""",
        """
from scipy.signal import butter, lfilter


def weights(bars):
    c = np.log(bars["close"]).ffill().fillna(0.0)
    b, a = butter(2, 0.1)
    trend = lfilter(b, a, c.to_numpy(), axis=0)
    up = np.vstack([np.zeros((1, c.shape[1])), np.diff(trend, axis=0)]) > 0
    return up / c.shape[1]
""",
    ),
    (
        "merge_asof_forward",
        """
def feature(bars):
    c = bars["close"]
    left = pd.DataFrame({"t": c.index})
    out = {}
    for name, rows in bars["fundamentals"].groupby("instrument"):
        right = rows[["available_at", "value"]].sort_values("available_at")
        out[name] = pd.merge_asof(left, right, left_on="t", right_on="available_at", direction="forward")["value"].to_numpy()
    return pd.DataFrame(out, index=c.index)
""",
        """
def feature(bars):
    c = bars["close"]
    left = pd.DataFrame({"t": c.index})
    out = {}
    for name, rows in bars["fundamentals"].groupby("instrument"):
        right = rows[["available_at", "value"]].sort_values("available_at")
        out[name] = pd.merge_asof(left, right, left_on="t", right_on="available_at")["value"].to_numpy()
    return pd.DataFrame(out, index=c.index)
""",
    ),
    (
        "merge_asof_nearest",
        """
def feature(bars):
    c = bars["close"]
    left = pd.DataFrame({"t": c.index})
    news = bars["news"].groupby("available_at", as_index=False)["score"].mean()
    mood = pd.merge_asof(left, news, left_on="t", right_on="available_at", direction="nearest")["score"]
    return pd.DataFrame({k: mood.to_numpy() for k in c}, index=c.index)
""",
        """
def feature(bars):
    c = bars["close"]
    left = pd.DataFrame({"t": c.index})
    news = bars["news"].groupby("available_at", as_index=False)["score"].mean()
    mood = pd.merge_asof(left, news, left_on="t", right_on="available_at", direction="backward")["score"]
    return pd.DataFrame({k: mood.to_numpy() for k in c}, index=c.index)
""",
    ),
    (
        "kmeans_regimes_of_all_days",
        """
from sklearn.cluster import KMeans


def feature(bars):
    r = bars["close"].pct_change(fill_method=None)
    x = np.c_[r.mean(axis=1), r.std(axis=1)]
    ok = np.isfinite(x).all(axis=1)
    state = np.full(len(x), np.nan)
    state[ok] = KMeans(3, n_init=2, random_state=0).fit_predict(x[ok])
    return pd.DataFrame({k: state for k in r}, index=r.index)
""",
        """
from sklearn.cluster import KMeans


def feature(bars):
    r = bars["close"].pct_change(fill_method=None)
    x = np.c_[r.mean(axis=1), r.std(axis=1)]
    state = np.full(len(x), np.nan)
    past = x[1:51]
    if len(past) == 50:
        state[51:] = KMeans(3, n_init=2, random_state=0).fit(past).predict(np.nan_to_num(x[51:]))
    return pd.DataFrame({k: state for k in r}, index=r.index)
""",
    ),
    (
        "backtest_fills_at_the_low",
        """
def experiment(data):
    c, low = data["close"], data["low"]
    hold = (c.shift(1) < c.rolling(20).mean().shift(1)) * 1.0
    gain = c / low - 1
    return {"profit": (hold * gain).mean(axis=1).fillna(0)}
""",
        """
def experiment(data):
    c, o = data["close"], data["open"]
    hold = (c.shift(1) < c.rolling(20).mean().shift(1)) * 1.0
    gain = c / o - 1
    return {"profit": (hold * gain).mean(axis=1).fillna(0)}
""",
    ),
    (
        "stop_known_before_it_is_hit",
        """
def experiment(data):
    c, o, low = data["close"], data["open"], data["low"]
    safe = (low / o - 1 > -0.01) * 1.0
    return {"position": safe / c.shape[1]}
""",
        """
def experiment(data):
    c, o, low = data["close"], data["open"], data["low"]
    safe = (low / o - 1 > -0.01).shift(1, fill_value=False) * 1.0
    return {"position": safe / c.shape[1]}
""",
    ),
    (
        "walk_forward_without_gap",
        """
def experiment(data):
    c = data["close"]
    ahead = c.shift(-5) / c - 1
    past = c.pct_change(20, fill_method=None)
    out = c * np.nan
    for first in range(300, len(c), 100):
        x, y = past.iloc[:first].stack(), ahead.iloc[:first].stack()
        both = pd.concat([x, y], axis=1).dropna().to_numpy()
        slope = np.polyfit(both[:, 0], both[:, 1], 1)[0]
        out.iloc[first : first + 100] = slope * past.iloc[first : first + 100]
    return out
""",
        """
def experiment(data):
    c = data["close"]
    ahead = c.shift(-5) / c - 1
    past = c.pct_change(20, fill_method=None)
    out = c * np.nan
    for first in range(300, len(c), 100):
        x, y = past.iloc[: first - 5].stack(), ahead.iloc[: first - 5].stack()
        both = pd.concat([x, y], axis=1).dropna().to_numpy()
        slope = np.polyfit(both[:, 0], both[:, 1], 1)[0]
        out.iloc[first : first + 100] = slope * past.iloc[first : first + 100]
    return out
""",
    ),
    (
        "batch_normalising_transform",
        """
class Whiten:
    def fit(self, x):
        self.width = x.std(axis=0)
        return self

    def transform(self, x):
        return (x - x.mean(axis=0)) / self.width
""",
        """
class Whiten:
    def fit(self, x):
        self.centre, self.width = x.mean(axis=0), x.std(axis=0)
        return self

    def transform(self, x):
        return (x - self.centre) / self.width
""",
    ),
    (
        "transductive_forecaster",
        """
class Nearest:
    def fit(self, x, y):
        self.x, self.y = x, y

    def predict(self, x):
        both = np.vstack([self.x, x])
        scale = np.percentile(np.abs(both), 90, axis=0)
        d = ((x[:, None] / scale - self.x[None, :300] / scale) ** 2).sum(axis=2)
        return self.y[:300][d.argmin(axis=1)]
""",
        """
class Nearest:
    def fit(self, x, y):
        self.x, self.y = x, y
        self.scale = np.percentile(np.abs(x), 90, axis=0)

    def predict(self, x):
        d = ((x[:, None] / self.scale - self.x[None, :300] / self.scale) ** 2).sum(axis=2)
        return self.y[:300][d.argmin(axis=1)]
""",
    ),
    (
        "strategy_that_digs",
        """
from foresail.domain.signals import Weights

api, id = 1, "me/digs@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)


class Digger:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        whole = view._ask(lambda run, position: run.bars)
        close = whole.field("close")
        soon = min(view.position + 5, close.shape[1] - 1)
        rise = close[:, soon] / close[:, view.position]
        best = [n for n, r in zip(whole.instruments, rise) if r > 1 and n in view.instruments]
        return [Weights(tuple((n, 0.05) for n in best))]
""",
        """
from foresail.domain.signals import Weights

api, id = 1, "me/digs@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)


class Digger:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        whole = view.bars(view.frame, 6)
        close = whole.field("close")
        rise = close[:, -1] / close[:, 0]
        best = [n for n, r in zip(whole.instruments, rise) if r > 1 and n in view.instruments]
        return [Weights(tuple((n, 0.05) for n in best))]
""",
    ),
)
VARIANTS: tuple[tuple[str, str, str], ...] = tuple((name, _HEAD + a, _HEAD + b) for name, a, b in _BODIES)

INNOCENT: tuple[tuple[str, str], ...] = tuple(
    (name, _HEAD + "\n\ndef feature(bars):\n    " + body.replace("\n", "\n    ") + "\n")
    for name, body in (
        (
            "pair_with_the_first",
            'c = bars["close"]\nreturn c.div(c.iloc[:, 0], axis=0).pct_change(5, fill_method=None)',
        ),
        (
            "seeded_noise",
            'c = bars["close"]\ng = np.random.default_rng(1)\nreturn c.notna() * g.standard_normal(c.shape)',
        ),
        ("cross_section_rank", 'return bars["close"].pct_change(10, fill_method=None).rank(axis=1)'),
        ("ordinal_rank", 'r = bars["volume"].rolling(5).mean()\nreturn r.rank(axis=1, method="first")'),
        (
            "expanding_zscore",
            'r = bars["close"].pct_change(fill_method=None)\nreturn (r - r.expanding(30).mean()) / r.expanding(30).std()',
        ),
        (
            "month_to_date",
            'c = bars["close"]\nm = c.index.tz_localize(None).to_period("M")\nreturn c / c.groupby(m).transform("first") - 1',
        ),
        ("since_listing", 'c = bars["close"]\nreturn c.notna().cumsum() * 1.0'),
        ("ewm", 'return bars["close"].ewm(span=20).mean() / bars["close"]'),
        ("range_over_volume", 'return (bars["high"] - bars["low"]) / bars["volume"]'),
        ("calendar", 'c = bars["close"]\nreturn c.notna().mul(c.index.dayofweek, axis=0) * 1.0'),
        (
            "residual_to_market",
            'r = bars["close"].pct_change(fill_method=None)\nm = r.mean(axis=1)\nb = r.rolling(60).cov(m).div(m.rolling(60).var(), axis=0)\nreturn r - b.mul(m, axis=0)',
        ),
        (
            "lagged_label_average",
            'c = bars["close"]\nlabel = c.shift(-5) / c - 1\nreturn label.shift(5).rolling(20).mean()',
        ),
        (
            "known_dividends",
            'paid = bars["actions"]\nk = paid[paid["kind"] == "dividend"].groupby(["declared_at", "instrument"])["amount"].sum().unstack().cumsum().ffill()\nc = bars["close"]\nreturn k.reindex(c.index, method="ffill").reindex(columns=c.columns)',
        ),
        ("adjusted_ratio", 'a = bars["adjusted_close"]\nreturn a / a.rolling(30).mean()'),
        ("cumulated_volume_price", 'v = bars["volume"]\nreturn (v * bars["close"]).cumsum() / v.cumsum()'),
        (
            "stacked_by_name",
            'long = bars["close"].stack()\nreturn long.groupby(level=1).transform(lambda s: s.pct_change(3, fill_method=None)).unstack()',
        ),
        ("lower_precision", 'return np.log(bars["close"]).diff().astype("float32").rolling(40).mean()'),
    )
)
