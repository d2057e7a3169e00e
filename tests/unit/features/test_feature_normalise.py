import json
from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import DataError, LookAheadError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE, find, resolve
from foresail.features.context import FeatureContext
from foresail.features.declared.spec import TYPES
from foresail.features.missing import with_no_news
from foresail.features.normalise import (
    RULES,
    FittedNormaliser,
    normaliser,
    prepare_inputs,
    read_normaliser,
    rule_of,
    trailing_zscore,
    write_normaliser,
)
from foresail.features.transforms import CategoryColumns, Fold, InstrumentScaler

FIELDS = ("open", "high", "low", "close", "volume")
DAY = 86_400_000_000_000


def bars(n: int = 3, t: int = 120, kind: str = "stock.US", seed: int = 3) -> Panel:
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (n, t)), axis=1))
    values = np.stack([close * 1.002, close * 1.01, close * 0.98, close, rng.uniform(1e3, 1e5, (n, t))], axis=2)
    end = 1_600_000_000_000_000_000 + DAY * np.arange(1, t + 1, dtype=np.int64)
    names = tuple(f"{kind}.S{i}" for i in range(n))
    return Panel(values, np.ones((n, t), bool), end - DAY, end, end, FIELDS, names, "1d", "24/7")


def given(panel: Panel, **series: float) -> FeatureContext:
    n, t, _ = panel.shape
    names = tuple(sorted(series))
    values = np.stack([np.full((n, t), series[name]) for name in names], axis=2)
    return FeatureContext(np.full(n, -1, dtype=np.int64), given_names=names, given=values).complete(panel)


def rows(n: int, first: int, last: int) -> np.ndarray:
    return np.array([(i, t) for t in range(first, last) for i in range(n)], dtype=np.int64)


def column(table, name):
    return table.values[:, :, table.fields.index(name)]


def model_inputs(names, panel, context):
    """What a scaler is given of the features that a panel can give."""
    there = [s.name for s in resolve(names, panel, (), context.given_names)[0]]
    return prepare_inputs(with_no_news(compute(panel, there, context, form="model")))


def test_every_type_has_a_rule_and_counts_are_counts():
    assert set(RULES) == set(TYPES)
    assert rule_of(find("news_volume")) == RULES["volume"]
    assert rule_of(find("sentiment_score")).prepare == "clip"


def test_inputs_by_hand():
    panel = bars()
    table = model_inputs(("close", "volume", "sma_20", "rsi_14", "atr_14", "obv"), panel, FeatureContext.of(panel))
    close, volume = panel.field("close"), panel.field("volume")
    returns = np.log(close[:, 1:] / close[:, :-1])
    assert np.allclose(column(table, "close")[:, 1:], returns, rtol=1e-12, atol=1e-15)
    usual = volume[:, 100:120].mean(axis=1)
    assert np.allclose(column(table, "volume")[:, 119], np.log1p(volume[:, 119] / usual), rtol=1e-10)
    mean = close[:, 100:120].mean(axis=1)
    assert np.allclose(column(table, "sma_20")[:, 119], mean / close[:, 119] - 1.0, rtol=1e-10)
    rsi = column(table, "rsi_14")[:, 20:]
    assert ((rsi >= 0.0) & (rsi <= 1.0)).all()
    atr = compute(panel, ["atr_14"], FeatureContext.of(panel)).values[:, 30:, 0]
    assert np.allclose(column(table, "atr_14")[:, 30:], atr / close[:, 30:], rtol=1e-12)
    assert np.abs(column(table, "obv")[:, 40:]).max() <= 1.0


def test_inputs_do_not_move_with_the_unit_of_the_price():
    panel = bars()
    larger = panel.values.copy()
    larger[:, :, :4] *= 4.0
    other = Panel(
        larger, panel.present, panel.start, panel.end, panel.available_at, FIELDS, panel.instruments, "1d", "24/7"
    )
    for name in ("core20", "frame50"):
        one = model_inputs(name, panel, FeatureContext.of(panel)).values
        two = model_inputs(name, other, FeatureContext.of(other)).values
        assert np.allclose(one, two, rtol=1e-9, atol=1e-12, equal_nan=True)


def test_inputs_of_the_past_do_not_see_the_future():
    panel = bars(t=150)
    table = model_inputs("frame50", panel, FeatureContext.of(panel)).values
    values = panel.values.copy()
    values[:, 100:] *= 1.7
    other = Panel(
        values, panel.present, panel.start, panel.end, panel.available_at, FIELDS, panel.instruments, "1d", "24/7"
    )
    changed = model_inputs("frame50", other, FeatureContext.of(other)).values
    assert np.array_equal(table[:, :100], changed[:, :100], equal_nan=True)
    assert not np.array_equal(table[:, 100:], changed[:, 100:], equal_nan=True)


def test_fractions_are_cut_and_counts_are_logarithms():
    panel = bars(t=30)
    table = model_inputs(("sentiment_score", "news_volume"), panel, given(panel, sentiment_score=3.0, news_volume=9.0))
    assert (column(table, "sentiment_score") == 1.0).all()
    assert np.allclose(column(table, "news_volume"), np.log(10.0))


def test_features_of_other_frames_are_prepared_as_their_own(tmp_path):
    """NORM-03 asks what a feature is, whatever frame its bars are of; what a stored model saw stays what it saw."""
    panel = bars(t=40)
    own = ("news_volume", "sentiment_score", "trend_direction", "rsi_14")
    values = np.stack([np.full((3, 40), one) for one in (9.0, 3.0, 1.0, 0.5)], axis=2)
    values[:, ::2, 2] = -1.0
    plain = replace(panel, values=values, fields=own)
    framed = replace(plain, fields=tuple(f"{name}@1w" for name in own))
    other = replace(plain, fields=("news_volume@7x", *own[1:]))
    assert np.array_equal(prepare_inputs(framed).values, prepare_inputs(plain).values)
    assert (prepare_inputs(other).values[:, :, 0] == 9.0).all()  # no feature of any frame
    seen = rows(3, 0, 30)
    one, two = (
        FittedNormaliser.fit(normaliser(p.fields, "trees"), p, seen, Fold.of_rows(seen)) for p in (plain, framed)
    )
    assert one.apply(plain).fields[2:5] == ("trend_direction=unknown", "trend_direction=-1", "trend_direction=1")
    assert two.apply(framed).fields[2:5] == tuple(f"trend_direction@1w={code}" for code in ("unknown", "-1", "1"))
    assert np.array_equal(two.apply(framed).values, one.apply(plain).values)
    write_normaliser(tmp_path / "new.json", two)
    assert np.array_equal(read_normaliser(tmp_path / "new.json").apply(framed).values, two.apply(framed).values)
    record = json.loads((tmp_path / "new.json").read_text())
    del record["framed"]
    (tmp_path / "old.json").write_text(json.dumps(record))
    old = read_normaliser(tmp_path / "old.json")
    assert old.apply(framed).values[0, 0, 0] != two.apply(framed).values[0, 0, 0]  # the number itself, as then


def test_trailing_deviations_agree_with_a_plain_loop():
    rng = np.random.default_rng(1)
    t = 900
    values = 1e3 + np.cumsum(rng.normal(size=(2, t)), axis=1)
    values[0, 100:130] = np.nan
    values[1, :] = 7.25
    end = DAY * np.arange(1, t + 1, dtype=np.int64)
    found = trailing_zscore(values, end)
    for at in (28, 29, 250, 364, 365, 366, 899):
        window = values[0, max(0, at - 364) : at + 1]
        window = window[np.isfinite(window)]
        expected = np.nan
        if len(window) >= 30 and np.isfinite(values[0, at]):
            expected = (values[0, at] - window.mean()) / window.std(ddof=1)
        assert found[0, at] == pytest.approx(expected, rel=1e-9, nan_ok=True)
    assert np.isnan(found[0, 110])
    assert (found[1, 29:] == 0.0).all()
    assert np.array_equal(trailing_zscore(values[:, :500], end[:500]), found[:, :500], equal_nan=True)


def test_each_instrument_has_its_own_scale_and_a_new_one_that_of_all():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 80, 2)) * np.array([1.0, 10.0, 100.0])[:, None, None] + 5.0
    values[2, :60] = np.nan  # listed after training
    rows_ = rows(3, 0, 60)
    scaler = InstrumentScaler(pooled=("f1",)).fit(values, rows_, Fold(0, 60))
    out = scaler.transform(values)
    for i in (0, 1):
        assert out[i, :60, 0].mean() == pytest.approx(0.0, abs=1e-12)
        assert out[i, :60, 0].std(ddof=1) == pytest.approx(1.0)
    both = values[:2, :60, 1].ravel()
    assert out[0, 5, 1] == pytest.approx((values[0, 5, 1] - both.mean()) / both.std(ddof=1))
    all_ = values[:2, :60, 0].ravel()
    expected = (values[2, 70, 0] - all_.mean()) / all_.std(ddof=1)
    assert out[2, 70, 0] == pytest.approx(np.clip(expected, -8, 8))
    assert np.abs(out[np.isfinite(out)]).max() <= 8.0
    again = InstrumentScaler().fit(values[:2], rows(2, 0, 60), Fold(0, 60))
    assert again.transform(values)[2, 70, 0] == pytest.approx(np.clip(expected, -8, 8))


def test_min_max_is_between_zero_and_one():
    values = np.arange(40.0).reshape(1, 40, 1)
    scaler = InstrumentScaler(method="min_max", fewest=2).fit(values, rows(1, 0, 20), Fold(0, 20))
    out = scaler.transform(values)[0, :, 0]
    assert (out[0], out[19], out[39]) == (0.0, 1.0, 1.0)
    with pytest.raises(UnknownNameError, match="min_max"):
        InstrumentScaler(method="minmax")


def test_categories_become_codes_or_columns_and_strange_ones_are_unknown():
    values = np.array([[[3.0, 1.0], [7.0, 2.0], [3.0, 3.0], [9.0, 4.0], [np.nan, 5.0]]])
    fitted = CategoryColumns(columns=("f0",)).fit(values, rows(1, 0, 3), Fold(0, 3))
    assert fitted.transform(values)[0, :, 0].tolist() == [1.0, 2.0, 1.0, 0.0, 0.0]
    assert fitted.transform(values)[0, :, 1].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    hot = CategoryColumns(one_hot=True, columns=("f0",)).fit(values, rows(1, 0, 3), Fold(0, 3))
    assert hot.outputs == ("f0=unknown", "f0=3", "f0=7", "f1")
    assert hot.transform(values)[0, :, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert hot.transform(values)[0, 1].tolist() == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("audience", ["trees", "network"])
def test_the_whole_way_learns_from_training_rows_only(audience, tmp_path):
    panel = bars(t=150)
    context = given(panel, sentiment_score=0.2, sector=4.0)
    names = ("close", "volume", "rsi_14", "day_sin", "vix_level", "sentiment_score", "sector", "sma_20")
    table = model_inputs(names, panel, context)
    pipe = normaliser(table.fields, audience)
    train, fold = rows(3, 30, 110), Fold(30, 110)
    fitted = pipe.fit(table, train, fold)
    out = fitted.transform(table)
    assert np.array_equal(out[:, :, fitted.outputs.index("day_sin")], column(table, "day_sin"))
    assert ("sector=4" in fitted.outputs) == (audience == "trees")
    assert ("missing:rsi_14" in fitted.outputs) == (audience == "network")
    if audience == "network":
        assert np.isfinite(out).all()
    values = table.values.copy()
    values[:, 110:] = 5.0
    blind = pipe.fit(
        Panel(
            values, panel.present, panel.start, panel.end, panel.available_at, table.fields, panel.instruments,
            "1d", "24/7",
        ),
        train,
        fold,
    )  # fmt: skip
    assert np.array_equal(blind.transform(table), out, equal_nan=True)
    with pytest.raises(LookAheadError, match="outside its fold"):
        pipe.fit(table, rows(3, 30, 111), fold)
    path = tmp_path / "normaliser.json"
    write_normaliser(path, FittedNormaliser(fitted, panel.instruments))
    again = read_normaliser(path)
    assert again.features == table.fields
    assert np.array_equal(again.transforms.transform(table), out, equal_nan=True)
    path.write_text("[]")
    with pytest.raises(DataError, match="no record of a normaliser"):
        read_normaliser(path)


def test_guards_of_a_bar_without_range_or_volume():
    n, t = 1, 40
    values = np.full((n, t, 5), 10.0)
    values[:, :, 4] = 0.0
    end = DAY * np.arange(1, t + 1, dtype=np.int64)
    panel = Panel(values, np.ones((n, t), bool), end - DAY, end, end, FIELDS, ("stock.US.A",), "1d", "24/7")
    out = compute(panel, ["relative_position", "zscore_20", "volume_ratio"], FeatureContext.of(panel)).values[0, -1]
    assert out[0] == 0.5
    assert out[1] == 0.0
    assert np.isnan(out[2])


def test_no_feature_of_a_scaled_type_is_left_without_a_scaler():
    assert {RULES[s.type].scaling for s in CATALOGUE.values() if s.normaliser == "none"} == {"none"}
