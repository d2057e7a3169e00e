import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.transforms import (
    PCA,
    DropCorrelated,
    DropSparse,
    Fold,
    ForwardFill,
    MedianImputer,
    OneHotEncoder,
    OrdinalEncoder,
    RankGauss,
    RobustScaler,
    SelectKBest,
    StandardScaler,
    ThresholdChoice,
)
from foresail.features.transforms.scalers import CLIP


def features() -> Panel:
    values = np.random.default_rng(0).normal(3.0, 2.0, (4, 30, 3))
    values[:, :, 1] = 5.0
    values[0, 3, 0] = np.nan
    end = np.arange(1, 31, dtype=np.int64)
    names = tuple(f"stock.US.S{i}" for i in range(4))
    fields = ("rsi_14", "skew_60", "day_sin")
    return Panel(values, np.ones((4, 30), bool), end - 1, end, end, fields, names, "1d", "24/7")


def rows(first: int, last: int) -> np.ndarray:
    return np.array([(i, t) for t in range(first, last) for i in range(4)], dtype=np.int64)


def column(values):
    """Return a table of one feature, its rows and their fold."""
    table = np.asarray(values)[:, None]
    return table, np.arange(len(table)), Fold(0, len(table))


def test_training_rows_become_standard():
    panel = features()
    scaler = StandardScaler().fit(panel, rows(0, 20), Fold(0, 20))
    trained = scaler.transform(panel)[:, :20, 0]
    assert np.nanmean(trained) == pytest.approx(0.0, abs=1e-12)
    assert np.nanstd(trained, ddof=1) == pytest.approx(1.0)
    assert np.isnan(trained[0, 3])


def test_values_are_clipped_at_eight_and_cyclic_ones_pass():
    panel = features()
    panel.values[1, 25] = 1e9
    scaled = StandardScaler().fit(panel, rows(0, 20), Fold(0, 20)).transform(panel)
    assert scaled[1, 25, 0] == CLIP
    assert scaled[1, 25, 2] == 1e9


def test_a_constant_feature_is_centred_not_divided_by_nothing():
    scaled = StandardScaler().fit(features(), rows(0, 20), Fold(0, 20)).transform(features())
    assert np.array_equal(scaled[:, :, 1], np.zeros((4, 30)))


def test_a_panel_with_other_features_is_refused():
    scaler = StandardScaler().fit(features(), rows(0, 5), Fold(0, 5))
    with pytest.raises(DataError, match="3 features received 2"):
        scaler.transform(np.zeros((1, 2)))
    panel = features()
    other = Panel(
        panel.values, panel.present, panel.start, panel.end, panel.available_at, ("skew_60", "rsi_14", "day_sin"),
        panel.instruments, "1d", "24/7",
    )  # fmt: skip
    with pytest.raises(DataError, match="'skew_60' stands in another place"):
        scaler.transform(other)


def test_robust_scaling_by_hand():
    table, at, fold = column([1.0, 2.0, 3.0, 4.0, 1000.0])
    scaled = RobustScaler().fit(table, at, fold).transform(table)[:, 0]
    assert scaled[:4] == pytest.approx(np.array([-1.0, -0.5, 0.0, 0.5]) * 1.3489795003921634)  # quartiles 2 and 4
    assert scaled[4] == CLIP


def test_rank_gauss_agrees_with_a_peer():
    values = np.random.default_rng(3).standard_t(3, (400, 2))
    ours = RankGauss(quantiles=400).fit(values, np.arange(400), Fold(0, 400)).transform(values)
    peer = QuantileTransformer(n_quantiles=400, output_distribution="normal").fit_transform(values)
    assert ours == pytest.approx(peer, abs=1e-6)
    table, at, fold = column([0.0, 0.0, 1.0, 1.0])
    tied = RankGauss(quantiles=3).fit(table, at, fold).transform(np.array([[0.5]]))
    assert tied[0, 0] == pytest.approx(0.0)


def test_medians_marks_and_an_empty_column():
    table = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan], [2.0, np.nan]])
    filled = MedianImputer(marks=True).fit(table, np.arange(4), Fold(0, 4))
    assert filled.outputs == ("f0", "f1", "missing:f0", "missing:f1")
    assert filled.transform(table)[2, 0] == 2.0
    assert np.isnan(filled.transform(table)[:, 1]).all()
    assert filled.transform(table)[:, 2].tolist() == [0.0, 0.0, 1.0, 0.0]


def test_forward_fill_stops_at_its_limit_and_never_looks_back():
    values = np.array([[np.nan, 1.0, np.nan, np.nan, np.nan, 2.0]]).T[None]
    fill = ForwardFill(limits=(("f0", 2),)).fit(values, np.array([[0, 0]]), Fold(0, 6))
    assert np.array_equal(fill.transform(values)[0, :, 0], [np.nan, 1.0, 1.0, 1.0, np.nan, 2.0], equal_nan=True)
    with pytest.raises(UnknownNameError, match="cpi"):
        ForwardFill(limits=(("cpi", 2),)).fit(values, np.array([[0, 0]]), Fold(0, 6))
    with pytest.raises(ConfigError, match="at least one bar"):
        ForwardFill(limits=(("f0", 0),))


def test_a_feature_missing_in_more_than_a_fifth_goes():
    table = np.ones((10, 2))
    table[:2, 0] = np.nan
    table[:3, 1] = np.nan
    kept = DropSparse().fit(table, np.arange(10), Fold(0, 10))
    assert kept.outputs == ("f0",)
    assert kept.fitted.state["missing"].tolist() == [0.2, 0.3]


def test_categories_that_training_never_saw_have_a_code_of_their_own():
    table, at, _ = column(["tech", "energy", "", "mining"])
    codes = OrdinalEncoder().fit(table, at[:3], Fold(0, 3)).transform(table)[:, 0]
    assert np.array_equal(codes, [2.0, 1.0, np.nan, 0.0], equal_nan=True)
    hot = OneHotEncoder().fit(table, at[:3], Fold(0, 3))
    assert hot.outputs == ("f0=unknown", "f0=energy", "f0=tech")
    assert hot.transform(table)[3].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(DataError, match="as text"):
        OrdinalEncoder().fit(np.ones((3, 1)), np.arange(3), Fold(0, 3))


def test_components_agree_with_a_peer():
    from sklearn.decomposition import PCA as Peer

    values = np.random.default_rng(1).normal(size=(80, 4)) @ np.diag([3.0, 2.0, 1.0, 0.5])
    ours = PCA(components=3).fit(values, np.arange(80), Fold(0, 80))
    peer = Peer(3).fit(values)
    assert np.abs(ours.transform(values)) == pytest.approx(np.abs(peer.transform(values)), abs=1e-10)
    assert ours.fitted.state["share"] == pytest.approx(peer.explained_variance_ratio_)
    with pytest.raises(DataError, match="complete training rows"):
        PCA(components=5).fit(values, np.arange(80), Fold(0, 80))


@pytest.mark.parametrize("score", ["f_test", "mutual_information", "rank_ic", "spearman"])
def test_every_score_finds_the_informative_feature(score):
    rng = np.random.default_rng(2)
    values, labels = rng.normal(size=(15, 40, 6)), rng.normal(size=(15, 40))
    values[..., 4] = labels + rng.normal(0.0, 0.5, labels.shape)
    at = np.argwhere(np.ones((15, 40), bool))
    best = SelectKBest(k=1, score=score).fit(values, at, Fold(0, 40), labels=labels)
    assert best.outputs == ("f4",)


def test_of_two_features_that_say_the_same_the_first_stays():
    x = np.random.default_rng(5).normal(size=(100, 2))
    table = np.column_stack([x[:, 0], x[:, 1], -x[:, 0] + 1e-3 * x[:, 1]])
    assert DropCorrelated().fit(table, np.arange(100), Fold(0, 100)).outputs == ("f0", "f1")


def test_the_threshold_is_the_one_that_served_the_fold_best():
    table, at, fold = column([0.1, 0.3, 0.6, 0.62, 0.7, 0.9])
    labels = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    chosen = ThresholdChoice(metric="f1").fit(table, at, fold, labels=labels)
    assert chosen.fitted.state["threshold"][0] == pytest.approx(0.66)
    assert chosen.transform(np.array([[0.65], [0.67], [np.nan]]))[:2, 0].tolist() == [0.0, 1.0]
    with pytest.raises(DataError, match="both 0 and 1"):
        ThresholdChoice().fit(table, at, fold, labels=np.ones(6))
