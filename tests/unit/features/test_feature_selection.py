import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_selection import f_classif

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError, DataError, LookAheadError, UnknownNameError
from foresail.features.selection import (
    METHODS,
    SelectionSettings,
    default_selection,
    select_over_folds,
    selector,
    without_groups,
)
from foresail.features.transforms import (
    DropCorrelated,
    Fold,
    ForestImportance,
    Pipeline,
    RecursiveElimination,
    SelectKBest,
    to_record,
)

N, T = 6, 60


def table(f: int = 8, seed: int = 0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(N, T, f))
    labels = 2.0 * values[..., 1] - values[..., 4] + rng.normal(0.0, 0.3, (N, T))
    return values, labels


def rows(first: int, last: int):
    return np.array([(i, t) for t in range(first, last) for i in range(N)], dtype=np.int64)


FOLD = Fold(0, 40)


def fit(transform, values, labels):
    return transform.fit(values, rows(0, 40), FOLD, labels=labels)


def test_forest_keeps_what_explains_the_labels_and_agrees_with_its_engine():
    values, labels = table()
    fitted = fit(ForestImportance(k=2, trees=30), values, labels)
    assert fitted.outputs == ("f1", "f4")
    order = np.lexsort(tuple(rows(0, 40).T))
    x = values[tuple(rows(0, 40)[order].T)]
    y = labels[tuple(rows(0, 40)[order].T)]
    engine = RandomForestRegressor(30, min_samples_leaf=5, random_state=0).fit(x, y)
    assert np.allclose(fitted.fitted.state["scores"], engine.feature_importances_, rtol=1e-12)


def test_a_forest_lives_with_gaps_and_never_keeps_an_empty_column():
    values, labels = table()
    values[..., 0] = np.nan
    values[2, 5:9, 1] = np.nan
    labels[0, 3] = np.nan
    fitted = fit(ForestImportance(k=7, trees=10), values, labels)
    assert "f0" not in fitted.outputs
    with pytest.raises(DataError, match="needs labels"):
        ForestImportance().fit(values, rows(0, 40), FOLD)
    with pytest.raises(DataError, match="two classes"):
        fit(ForestImportance(task="classes"), values, np.ones((N, T)))


def test_elimination_goes_round_by_round():
    values, labels = table()
    fitted = fit(RecursiveElimination(k=2, trees=20, step=0.3), values, labels)
    assert fitted.outputs == ("f1", "f4")
    rounds = fitted.fitted.state["rounds"]
    assert sorted(np.bincount(rounds)[1:].tolist()) == [1, 1, 1, 1, 2, 2]  # 8, 6, 5, 4, 3, 2 features were left
    with pytest.raises(ConfigError, match="step"):
        RecursiveElimination(step=1.0)


def test_of_twins_the_more_important_stays():
    values, labels = table()
    noise = np.random.default_rng(7).normal(0.0, 0.4, (N, T))
    values[..., 0] = values[..., 1] + noise  # before the better one, and worse
    assert abs(np.corrcoef(values[:, :40, 0].ravel(), values[:, :40, 1].ravel())[0, 1]) > 0.9
    first = fit(DropCorrelated(limit=0.9), values, labels)
    assert "f0" in first.outputs
    assert "f1" not in first.outputs
    better = fit(DropCorrelated(limit=0.9, keep="important", trees=30), values, labels)
    assert "f1" in better.outputs
    assert "f0" not in better.outputs
    assert better.fitted.state["replaced_by"].tolist() == [1, -1, -1, -1, -1, -1, -1, -1]
    with pytest.raises(UnknownNameError, match="important"):
        DropCorrelated(keep="best")


def test_analysis_of_variance_agrees_with_a_peer():
    values, labels = table()
    classes = np.digitize(labels, (-1.0, 1.0)).astype(float)
    fitted = fit(SelectKBest(k=2, score="anova"), values, classes)
    expected, _ = f_classif(values[:, :40].reshape(-1, 8), classes[:, :40].ravel())
    assert np.allclose(fitted.fitted.state["scores"], expected, rtol=1e-10)
    assert fitted.outputs == ("f1", "f4")
    values[..., 3] = classes
    assert "f3" in fit(SelectKBest(k=1, score="anova"), values, classes).outputs


@pytest.mark.parametrize("method", [m for m in METHODS if m != "none"])
@pytest.mark.parametrize("task", ["regression", "classes"])
def test_every_method_is_deterministic_and_blind_outside_its_fold(method, task):
    values, labels = table()
    told = labels if task == "regression" else (labels > 0.0).astype(float)
    chain = selector(SelectionSettings(method, k=3, task=task, trees=10))
    one = fit(chain, values, told)
    other, later = values.copy(), told.copy()
    other[:, 40:], later[:, 40:] = 99.0, 1.0
    assert canonical_bytes(to_record(fit(chain, other, later))) == canonical_bytes(to_record(one))
    with pytest.raises(LookAheadError):
        chain.fit(values, rows(0, 41), FOLD, labels=told)
    if method != "correlation":
        assert len(one.outputs) == 3
        assert {"f1", "f4"} <= set(one.outputs)


def test_the_default_order_is_correlation_then_forest_then_elimination():
    chain = selector(SelectionSettings("default+elimination"))
    assert isinstance(chain, Pipeline)
    assert [step.kind for step in chain.steps] == ["drop_correlated", "forest_importance", "recursive_elimination"]
    assert [step.k for step in chain.steps[1:]] == [100, 50]
    assert [step.kind for step in selector(SelectionSettings()).steps] == ["drop_correlated", "forest_importance"]


def test_fixed_sets_are_used_whole_and_multi_is_reduced_to_fifty():
    for name in ("core20", "swing32", "scan100", "tft64"):
        assert selector(default_selection(name)) is None
    assert default_selection("multi").k == 50
    assert selector(default_selection("multi")) is not None
    with pytest.raises(UnknownNameError, match="multi"):
        default_selection("mult")


def test_groups_are_switched_off_as_a_whole():
    names = ("close", "sentiment_score", "missing:sentiment_score", "imbalance_10", "crypto_fear_greed", "rsi_14")
    assert without_groups(names, ("sentiment",)) == ("close", "imbalance_10", "rsi_14")
    assert without_groups(names, ("order_flow", "momentum")) == (
        "close", "sentiment_score", "missing:sentiment_score", "crypto_fear_greed",
    )  # fmt: skip
    assert without_groups(names, ()) == names
    with pytest.raises(UnknownNameError, match="order_flow"):
        without_groups(names, ("orderflow",))


def test_stability_is_the_share_of_folds_that_keep_a_feature():
    values, labels = table()
    folds = [(rows(0, last), Fold(0, last)) for last in (30, 40, 50)]
    chain = selector(SelectionSettings("forest", k=3, trees=10))
    fitted, stability = select_over_folds(values, labels, folds, chain)
    assert len(fitted) == 3
    assert stability.share["f1"] == stability.share["f4"] == 1.0
    assert list(stability.share)[:2] == ["f1", "f4"]
    assert sum(stability.share.values()) == pytest.approx(3.0)
    by_hand = [
        len(set(a.outputs) & set(b.outputs)) / len(set(a.outputs) | set(b.outputs))
        for i, a in enumerate(fitted)
        for b in fitted[:i]
    ]
    assert stability.agreement == pytest.approx(np.mean(by_hand))
    assert stability.lines()[0].startswith("3 folds kept 3.0 of 8 features")
    assert len(stability.lines()) == 1 + sum(share > 0 for share in stability.share.values())
    with pytest.raises(ConfigError, match="at least one fold"):
        select_over_folds(values, labels, [], chain)


def test_noise_is_not_stable():
    rng = np.random.default_rng(3)
    values, labels = rng.normal(size=(N, T, 30)), rng.normal(size=(N, T))
    folds = [(rows(a, a + 15), Fold(a, a + 15)) for a in (0, 15, 30, 45)]
    _, stability = select_over_folds(values, labels, folds, selector(SelectionSettings("forest", k=5, trees=10)))
    assert stability.agreement < 0.4
