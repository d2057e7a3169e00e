"""Windows are the slices they say they are; every row of a fold is seen once; nothing lies behind an origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.core.errors import DataError  # noqa: E402
from foresail.forecasting.neural.windows import WindowInputs, WindowSettings, WindowSource  # noqa: E402

N, T, V, W, H, C = 3, 40, 4, 2, 3, 6


def source(windows=4, stride=1, labels=True, seed=0):
    rng = np.random.default_rng(seed)
    observed = rng.normal(size=(N, T, V))
    observed[1, 5, 2] = np.nan
    known = rng.normal(size=(T + H, W))
    present = rng.random((N, T)) > 0.1
    static = np.arange(N)[:, None] + 1
    wanted = rng.normal(size=(N, T, 2, 1)) if labels else None
    if wanted is not None:
        wanted[0, 10] = np.nan
    settings = WindowSettings(C, H, windows, stride)
    return (
        WindowSource(settings, WindowInputs(observed, known, present, static), wanted),
        observed,
        known,
        present,
        wanted,
    )


def rows(first=0, last=T):
    return np.array([(i, t) for t in range(first, last) for i in range(N)], dtype=np.int64)


@pytest.mark.parametrize(("windows", "stride"), [(1, 1), (4, 1), (4, 3)])
def test_every_window_is_the_slice_that_ends_at_its_origin(windows, stride):
    made, observed, known, present, wanted = source(windows, stride)
    seen = []
    for batch in made.batches(rows(), 5, None):
        s = batch.segments
        for i in range(len(batch.instruments)):
            for k in range(windows):
                if float(batch.weights[i, k].max()) == 0.0:
                    continue
                name, t = int(batch.instruments[i]), int(batch.origins[i, k])
                seen.append((name, t))
                a = k * stride
                window = s.observed[i, a : a + C].numpy()
                for step in range(C):
                    at = t - C + 1 + step
                    expected = np.zeros(V) if at < 0 else np.nan_to_num(observed[name, at])
                    assert np.allclose(window[step], expected)
                    assert float(s.present[i, a + step]) == (0.0 if at < 0 else float(present[name, at]))
                assert np.allclose(s.known[i, a + C : a + C + H].numpy(), known[t + 1 : t + 1 + H])
                assert np.allclose(batch.targets[i, k].numpy(), np.nan_to_num(wanted[name, t]))
    expected = {(i, t) for i, t in rows().tolist() if np.isfinite(wanted[i, t]).all()}
    assert len(seen) == len(set(seen))
    assert set(seen) == expected


def test_windows_outside_the_fold_and_without_a_label_have_no_weight():
    made, *_ = source()
    fold = rows(10, 20)
    total = sum(float(batch.weights.sum()) for batch in made.batches(fold, 7, None))
    assert total == 2 * (len(fold) - 1)  # two horizons; one row has no label
    told = {
        (int(batch.instruments[i]), int(t))
        for batch in made.batches(fold, 7, np.random.default_rng(1))
        for i, k in np.argwhere(batch.weights.numpy().max(axis=(2, 3)) > 0)
        for t in [batch.origins[i, k]]
    }
    assert told <= {(i, t) for i, t in fold.tolist()}
    assert len(told) > 0.8 * len(fold)


def test_weights_of_rows_reach_the_loss():
    made, *_ = source()
    fold = rows(12, 14)
    weights = np.arange(1.0, len(fold) + 1)
    total = sum(float(batch.weights.sum()) for batch in made.batches(fold, 7, None, weights))
    assert total == pytest.approx(2 * weights.sum())


def test_a_random_epoch_is_repeatable_and_differs_from_the_next():
    made, *_ = source()
    first, again = ([b.origins.tolist() for b in made.batches(rows(), 4, np.random.default_rng(3))] for _ in range(2))
    other = [b.origins.tolist() for b in made.batches(rows(), 4, np.random.default_rng(4))]
    assert first == again != other


def test_what_is_known_ahead_must_reach_ahead():
    made = WindowInputs(np.zeros((N, T, V)), np.zeros((T, W)), np.ones((N, T), bool), np.ones((N, 1), int))
    with pytest.raises(DataError, match="rows known ahead"):
        WindowSource(WindowSettings(C, H), made, None)
    broken = np.zeros((T + H, W))
    broken[-1] = np.nan
    with pytest.raises(DataError, match="missing or infinite"):
        WindowSource(WindowSettings(C, H), replace(made, known=broken), None)


def test_an_infinite_input_is_refused_and_named():
    x = np.zeros((N, T, V))
    x[2, 7, 1] = -np.inf
    made = WindowInputs(x, np.zeros((T + H, W)), np.ones((N, T), bool), np.ones((N, 1), int))
    with pytest.raises(DataError, match="input 1 of instrument 2 is infinite at time 7"):
        WindowSource(WindowSettings(C, H), made, None)


def test_inputs_in_a_file_give_the_same_batches(tmp_path):
    rng = np.random.default_rng(3)
    observed = rng.normal(size=(3, 40, 2))
    observed[1, 5:9] = np.nan
    inputs = WindowInputs(observed, rng.normal(size=(42, 1)), np.isfinite(observed[..., 0]), np.zeros((3, 1), int))
    cut = WindowSettings(6, 2, 3)
    rows = np.array([(i, t) for t in range(5, 38) for i in range(3)])
    held, mapped = WindowSource(cut, inputs, None), WindowSource(cut, inputs, None, tmp_path / "inputs")
    assert isinstance(mapped._observed, np.memmap)
    assert mapped._observed.nbytes == cut.matrix_bytes(observed.shape) == 3 * (7 + 40) * 2 * 4
    for a, b in zip(held.batches(rows, 4, None), mapped.batches(rows, 4, None), strict=True):
        assert torch.equal(a.segments.observed, b.segments.observed)


def test_a_first_origin_beyond_the_panel_is_refused_and_not_the_next_instruments():
    made = source(3, 1)[0]
    last = made.times - 1
    made.batch(np.array([[0, 0], [0, last]]))
    assert len(made.batch(np.empty((0, 2), dtype=np.int64)).instruments) == 0
    for first in (-1, last + 1):
        with pytest.raises(DataError, match="first origins from 0"):
            made.batch(np.array([[0, first]]))
