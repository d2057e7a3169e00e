"""Training: it learns, repeats to the bit, goes on after a kill with the same weights, survives a bad rate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.core.errors import CapabilityError, ConfigError, DataError, ModelError, UnknownNameError  # noqa: E402
from foresail.forecasting.neural.precision import Precision, device_of  # noqa: E402
from foresail.forecasting.neural.recipe import Rates  # noqa: E402
from foresail.forecasting.neural.tft.network import TemporalFusionTransformer, TftSettings  # noqa: E402
from foresail.forecasting.neural.training import Fold, Recipe, TrainingTask, _Run, train  # noqa: E402
from foresail.forecasting.neural.windows import WindowInputs, WindowSettings, WindowSource  # noqa: E402

N, T, V, H, C = 4, 120, 3, 2, 8
LEVELS = (0.1, 0.5, 0.9)
SETTINGS = TftSettings(V, 2, (N + 1,), 1, len(LEVELS), C, H, 8, 2, dropout=0.1)


class KilledError(Exception):
    """Stands for a kill between two epochs."""


def source(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, T, V))
    y = 0.8 * x[:, :, :1] + 0.2 * rng.normal(size=(N, T, 1))
    labels = np.repeat(y[..., None], H, axis=2)  # (N, T, H, 1)
    known = np.stack([np.sin(np.arange(T + H)), np.cos(np.arange(T + H))], axis=1)
    inputs = WindowInputs(x, known, np.ones((N, T), bool), np.arange(N)[:, None] + 1)
    return WindowSource(WindowSettings(C, H, 4), inputs, labels)


def rows(first, last):
    return np.array([(i, t) for t in range(first, last) for i in range(N)], dtype=np.int64)


FOLD = Fold(rows(C, 90), rows(92, 118))


def task(tmp_path=None, recipe=None, made=None):
    torch.manual_seed(1)
    chosen = Recipe(epochs=6, batch=32, rates=Rates(warm_up=1, total=6, base=1e-2)) if recipe is None else recipe
    made = source() if made is None else made
    return TrainingTask(TemporalFusionTransformer(SETTINGS), made, FOLD, LEVELS, chosen, 7, tmp_path)


def weights(one):
    return {name: value.clone() for name, value in one.network.state_dict().items()}


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_and_keeps_its_best_weights():
    one = task()
    told = train(one)
    assert told.best_loss < 0.7 * told.history.validation_loss[0]
    assert told.best_loss == min(told.history.validation_loss)
    assert len(told.history.train_loss) == len(told.history.rate) == 6
    assert not one.network.training


def test_the_same_seed_gives_the_same_weights():
    first, again = task(), task()
    train(first)
    train(again)
    assert equal(weights(first), weights(again))


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, after):
    whole = task()
    train(whole)

    def kill(stage, done, total):
        if done == after:
            raise KilledError

    with pytest.raises(KilledError):
        train(task(tmp_path), progress=kill)
    assert json.loads((tmp_path / "checkpoint.json").read_text())["next"] == after
    resumed = task(tmp_path)
    told = train(resumed)
    assert equal(weights(whole), weights(resumed))
    assert len(told.history.train_loss) == 6
    assert not list(tmp_path.glob("checkpoint*"))


def test_a_rate_that_explodes_is_halved_once_and_told(monkeypatch):
    from foresail.forecasting.neural import training

    real, calls = training.pinball_loss, []

    def broken(*arguments):
        calls.append(1)
        return real(*arguments) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(training, "pinball_loss", broken)
    told = train(task())
    assert "started again at half the rate" in told.notes[0]
    assert max(told.history.rate) == pytest.approx(5e-3)
    monkeypatch.setattr(training, "pinball_loss", lambda *a: real(*a) * float("nan"))
    with pytest.raises(ModelError, match="failed twice"):
        train(task())


def test_a_fold_without_labels_is_refused():
    made = source()
    made._labels[:] = np.nan
    with pytest.raises(DataError, match="no training row has a label"):
        train(task(made=made))


def test_early_stopping_ends_it():
    recipe = Recipe(epochs=30, batch=32, rates=Rates("constant", base=1e-5), patience=2, delta=1.0)
    told = train(task(recipe=recipe))
    assert len(told.history.train_loss) == 3


def test_a_run_that_was_killed_behind_its_last_epoch_trains_no_other(tmp_path):
    recipe = Recipe(epochs=30, batch=32, rates=Rates("constant", base=1e-5), patience=2, delta=1.0)

    def kill(stage, done, total):
        if done == 3:  # the stopping rule has just been met
            raise KilledError

    with pytest.raises(KilledError):
        train(task(tmp_path, recipe=recipe), progress=kill)
    assert len(train(task(tmp_path, recipe=recipe)).history.train_loss) == 3


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_shorter_numbers_learn_as_well(precision, tmp_path):
    exact, short = task(), task()
    train(exact)
    recipe = replace(short.recipe, precision=precision)
    told = train(replace(short, recipe=recipe, checkpoint=tmp_path))
    assert told.best_loss < 0.7 * told.history.validation_loss[0]
    assert all(value.dtype is torch.float32 for value in short.network.state_dict().values())
    assert not equal(weights(exact), weights(short))


def test_a_device_that_is_not_there_is_refused_by_name():
    with pytest.raises(ConfigError, match="received 'abacus'"):
        device_of("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(CapabilityError, match="cuda was asked for"):
            device_of("cuda")
        assert device_of("auto").type == "cpu"
    with pytest.raises(UnknownNameError, match="float33"):
        Precision("float33", torch.device("cpu"))


def test_a_plateau_cuts_the_rate_and_a_gain_does_not_take_it_back(monkeypatch):
    from foresail.forecasting.neural import training

    losses = iter([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])
    monkeypatch.setattr(training._Run, "_validate", lambda _: next(losses))
    rates = Rates("plateau", base=1e-2, minimum=1e-6, patience=2)
    told = train(task(recipe=Recipe(epochs=6, batch=32, rates=rates, patience=6, delta=0.0)))
    assert told.history.rate == pytest.approx([1e-2, 1e-2, 1e-2, 5e-3, 5e-3, 5e-3])


def test_a_cycle_of_rates_goes_on_over_epochs_and_after_a_kill(tmp_path):
    rates = Rates("cyclic", base=1e-2, minimum=1e-4, cycle=10)
    recipe = Recipe(epochs=4, batch=32, rates=rates)
    told = train(task(recipe=recipe)).history.rate
    assert len(set(told)) > 1  # an epoch has no whole number of cycles

    def kill(stage, done, total):
        if done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train(task(tmp_path, recipe=recipe), progress=kill)
    assert train(task(tmp_path, recipe=recipe)).history.rate == told


def test_a_run_that_began_again_and_was_killed_goes_on_at_half_the_rate(tmp_path, monkeypatch):
    from foresail.forecasting.neural import training

    real, calls = training.pinball_loss, []

    def broken(*arguments):
        calls.append(1)
        return real(*arguments) * (float("nan") if len(calls) == 3 else 1.0)

    def kill(stage, done, total):
        if done == 2:
            raise KilledError

    monkeypatch.setattr(training, "pinball_loss", broken)
    with pytest.raises(KilledError):
        train(task(tmp_path), progress=kill)
    monkeypatch.setattr(training, "pinball_loss", real)
    resumed = task(tmp_path)
    told = train(resumed)
    assert told.notes[0] == "the loss of batch 3 in epoch 1 was not a number; started again at half the rate"
    assert max(told.history.rate) == pytest.approx(5e-3)
    assert len(told.history.rate) == 6


def test_norms_are_told_every_hundred_steps_where_norms_are_clipped(caplog):
    with caplog.at_level("INFO", logger="foresail"):
        train(task(recipe=Recipe(epochs=12, batch=8, clipping="norm", rates=Rates("constant"), patience=20)))
    assert [one.args[0] for one in caplog.records][:2] == [100, 200]


@pytest.mark.filterwarnings("ignore:.*meta parameter")
def test_a_resumed_run_keeps_its_moments_where_its_parameters_are(tmp_path):
    def kill(stage, done, total):
        raise KilledError

    with pytest.raises(KilledError):
        train(task(tmp_path), progress=kill)
    # no GPU is needed to see it: tensors of "meta" have a device and no numbers
    again = task(tmp_path, replace(task().recipe, device="meta"))
    run = _Run(again, 1.0, "")
    run.resume()
    state = run._optimiser.state
    assert len(state) == len(list(again.network.parameters()))
    for parameter, moments in state.items():
        assert parameter.device.type == "meta"
        assert moments["exp_avg"].device == moments["exp_avg_sq"].device == parameter.device
        assert moments["step"].device.type == "cpu"
