"""What every fold-bound transform must keep: the guard, blindness outside the fold, a record to the bit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import DataError, LookAheadError, NotFittedError, UnknownNameError
from foresail.features.transforms import (
    KINDS,
    PCA,
    DropCorrelated,
    Fold,
    ForwardFill,
    MedianImputer,
    OneHotEncoder,
    OrdinalEncoder,
    Pipeline,
    SelectKBest,
    StandardScaler,
    ThresholdChoice,
    Transform,
    bind,
    from_record,
    read_transform,
    to_record,
    write_transform,
)

SECTORS = np.array(["energy", "health", "tech", "utilities"])
MADE = {
    "drop_correlated": lambda: DropCorrelated(limit=0.9),
    "forward_fill": lambda: ForwardFill(limits=(("f1", 2),)),
    "median_imputer": lambda: MedianImputer(marks=True),
    "one_hot_encoder": OneHotEncoder,
    "ordinal_encoder": OrdinalEncoder,
    "pca": lambda: PCA(components=2),
    "pipeline": lambda: Pipeline((MedianImputer(), StandardScaler(unchanged=("f2",)), SelectKBest(k=2))),
    "select_k_best": lambda: SelectKBest(k=2),
    "standard_scaler": lambda: StandardScaler(unchanged=("f2",)),
    "threshold_choice": ThresholdChoice,
}
FOLD = Fold(0, 30)
INSTRUMENTS, TIMES = 12, 50


def made(kind):
    return MADE.get(kind, KINDS[kind])()


def values_of(kind, seed=0):
    rng = np.random.default_rng(seed)
    if kind.endswith("encoder"):
        return SECTORS[rng.integers(0, 4, (INSTRUMENTS, TIMES, 2))]
    if kind == "threshold_choice":
        return rng.uniform(0.0, 1.0, (INSTRUMENTS, TIMES, 1))
    values = rng.normal(2.0, 3.0, (INSTRUMENTS, TIMES, 5))
    values[..., 4] = values[..., 0] + rng.normal(0.0, 0.01, values.shape[:2])
    values[2, 7:9, 1] = np.nan
    return values


def labels_of(kind, values):
    rng = np.random.default_rng(9)
    if kind == "threshold_choice":
        return (values[..., 0] + rng.normal(0.0, 0.2, values.shape[:2]) > 0.5).astype(float)
    return rng.normal(size=values.shape[:2])


def rows(first, last):
    return np.array([(i, t) for t in range(first, last) for i in range(INSTRUMENTS)], dtype=np.int64)


def fitted(kind, values=None, labels=None):
    values = values_of(kind) if values is None else values
    labels = labels_of(kind, values) if labels is None else labels
    return made(kind).fit(values, rows(0, 30), FOLD, labels=labels)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_row_outside_the_fold_is_refused(kind):
    values = values_of(kind)
    labels = labels_of(kind, values)
    for asked, fold in ((rows(0, 31), FOLD), (rows(4, 20), Fold(5, 30)), (rows(0, 50), FOLD)):
        with pytest.raises(LookAheadError, match="outside its fold"):
            made(kind).fit(values, asked, fold, labels=labels)
    purged = Fold.of_rows(np.concatenate([rows(0, 10), rows(15, 30)]))
    with pytest.raises(LookAheadError, match="purged or tests"):
        made(kind).fit(values, rows(0, 30), purged, labels=labels)
    with pytest.raises(DataError, match="at least one"):
        made(kind).fit(values, np.empty((0, 2), np.int64), FOLD, labels=labels)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rows_outside_the_fold_leave_no_trace(kind):
    values = values_of(kind)
    labels = labels_of(kind, values)
    other, told = values.copy(), labels.copy()
    if values.dtype.kind == "U":
        other[:, 30:] = "never"
    else:
        other[:, 30:] = 1e9
    told[:, 30:] = 1.0
    assert canonical_bytes(to_record(fitted(kind, values, labels))) == canonical_bytes(
        to_record(fitted(kind, other, told))
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_past_of_a_value_decides_and_never_its_future(kind):
    values = values_of(kind)
    transform = fitted(kind, values)
    whole = transform.transform(values)
    for until in (1, 29, 31, 44):
        assert np.array_equal(transform.transform(values[:, :until]), whole[:, :until], equal_nan=True)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_record_is_plain_and_reads_back_to_the_bit(kind, tmp_path):
    values = values_of(kind)
    transform = fitted(kind, values)
    path = tmp_path / "transform.json"
    write_transform(transform, path)
    again = read_transform(path)
    assert type(again) is type(transform)
    assert again.outputs == transform.outputs
    assert np.array_equal(again.transform(values), transform.transform(values), equal_nan=True)
    assert canonical_bytes(to_record(again)) == path.read_bytes()
    json.loads(path.read_text())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_settings_stay_unfitted_and_use_before_fit_is_refused(kind):
    settings = made(kind)
    values = values_of(kind)
    settings.fit(values, rows(0, 30), FOLD, labels=labels_of(kind, values))
    with pytest.raises(NotFittedError, match="before it was fitted"):
        settings.transform(values)
    with pytest.raises(DataError, match="features received"):
        fitted(kind).transform(np.concatenate([values, values], axis=-1))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_outputs_name_every_column_and_nothing_becomes_infinite(kind):
    values = values_of(kind)
    transform = fitted(kind, values)
    out = transform.transform(values)
    assert out.shape == (INSTRUMENTS, TIMES, len(transform.outputs))
    assert not np.isinf(out).any()


@pytest.mark.parametrize("kind", sorted(k for k in KINDS if not k.endswith("encoder")))
def test_an_infinite_training_value_is_refused(kind):
    values = values_of(kind)
    labels = labels_of(kind, values)
    values[3, 3, 0] = np.inf
    with pytest.raises(DataError, match="infinite"):
        made(kind).fit(values, rows(0, 30), FOLD, labels=labels)


@dataclass(frozen=True, eq=False)
class _Greedy(Transform):
    """A plug-in that would like to see everything: it is handed the training rows alone."""

    kind: ClassVar[str] = "greedy"

    def learn(self, lesson):
        return {"rows": lesson.rows, "largest": np.array([np.nanmax(lesson.values)])}

    def apply(self, values, state):
        return values / state["largest"][0]


def test_a_plug_in_sees_training_rows_only_and_has_a_record():
    values = values_of("greedy")
    values[:, 30:] = 1e9
    own = _Greedy().fit(values, rows(0, 30), FOLD)
    assert own.fitted.state["largest"][0] < 1e3
    assert own.fitted.state["rows"][:, 1].max() == 29
    again = from_record(json.loads(canonical_bytes(to_record(own))), {**KINDS, "greedy": _Greedy})
    assert np.array_equal(again.transform(values), own.transform(values), equal_nan=True)
    with pytest.raises(UnknownNameError, match="greedy"):
        from_record(to_record(own))


def test_a_foreign_estimator_is_bound_to_the_fold():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    values = np.nan_to_num(values_of("standard_scaler"))
    foreign = preprocessing.StandardScaler()
    bound = bind(foreign)
    with pytest.raises(LookAheadError):
        bound.fit(values, rows(0, 31), FOLD)
    other = values.copy()
    other[:, 30:] = 1e9
    a, b = (bound.fit(v, rows(0, 30), FOLD) for v in (values, other))
    assert np.array_equal(a.transform(values), b.transform(values))
    assert not hasattr(foreign, "mean_")


def test_a_pipeline_selects_inside_the_fold_only():
    rng = np.random.default_rng(4)
    values, labels = rng.normal(size=(INSTRUMENTS, TIMES, 5)), rng.normal(size=(INSTRUMENTS, TIMES))
    values[:, :30, 1] = labels[:, :30] + rng.normal(0.0, 0.3, (INSTRUMENTS, 30))  # useful in training
    values[:, 30:, 3] = labels[:, 30:]  # perfect in the test: must not be chosen
    chosen = Pipeline((StandardScaler(), SelectKBest(k=1))).fit(values, rows(0, 30), FOLD, labels=labels)
    assert chosen.outputs == ("f1",)


@pytest.mark.parametrize(
    "broken",
    [{"kind": "standard_scaler"}, {"kind": "standard_scaler", "settings": {"strange": 1}, "fitted": None}],
)
def test_a_torn_record_is_refused(broken):
    with pytest.raises(DataError, match="cannot be read"):
        from_record(broken)
