"""What can be set of a network and its training; the defaults are those of a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.forecasting.neural.inputs import STATICS
from foresail.forecasting.neural.recipe import CLIPPING, SCHEDULES, Rates
from foresail.forecasting.neural.training import Recipe
from foresail.forecasting.neural.windows import WindowSettings

__all__ = ["MAPPED_FROM", "MEMORY", "PRESETS", "NetworkSettings", "check_network_settings"]

MEMORY = ("automatic", "mapped", "ram")
MAPPED_FROM = 2 << 30  # bytes of windows from which on "automatic" is a file
_PLATEAU = 5  # epochs without gain (TRAIN-13)
# Shapes that the literature of each frame uses; what a preset does not name keeps its default. FCST-03a: two weeks of
# hours; MODEL-02: an hour of minutes, a deep and wide network for an accelerator; MODEL-03: a quarter of days.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "hourly": {"context_length": 336, "width": 64},
    "minute": {"context_length": 60, "width": 256, "heads": 8, "layers": 6},
    "daily": {"context_length": 60, "width": 64},
}


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Shape and training of a network forecaster.

    Attributes
    ----------
    context_length : C bars back
    width, heads, layers, dropout : of the network; ``heads`` is used by attention only
    windows, stride : of a training segment; an epoch sees one origin in ``stride`` bars
    epochs, batch, rate, patience, delta : of training; ``batch`` counts forecast origins
    schedule : of the rate: cosine, cyclic, plateau, step or constant (TRAIN-11 to 13)
    clipping, largest_norm : of gradients: adaptive, norm or value, and the cap (TRAIN-14)
    weight_decay : of AdamW (TRAIN-10)
    threads : of training; fixed, so that weights do not depend on the machine's own number
    device, precision : of training: cpu, cuda or auto; float32, mixed, bfloat16 or float16
    minimum_windows : training windows below which no network is trained (TRAIN-06)
    memory : where windows are cut from: ram, mapped (a file) or automatic; no number depends on it
    warm_up : epochs in which a cosine rate rises; -1 = a tenth of them, at least one
    minimum_rate : lowest rate, from which a cyclic one swings up; 0 = a thousandth of the rate, a hundredth if cyclic
    cycle : steps of a swing up and down of the cyclic rate
    plateau_patience : epochs without gain that cut the rate; 0 = half of ``patience``, five at most
    cut_factor : what plateau and step multiply the rate by
    step_every : epochs between two cuts of the step schedule
    statics : what is told of an instrument beside its id and market: none, or its sector by the feature of that name
    """

    context_length: int = 60
    width: int = 32
    heads: int = 4
    layers: int = 1
    dropout: float = 0.1
    windows: int = 8
    stride: int = 5
    epochs: int = 20
    batch: int = 128
    rate: float = 1e-3
    patience: int = 5
    delta: float = 1e-4
    threads: int = 2
    device: str = "cpu"
    precision: str = "float32"
    minimum_windows: int = 500
    schedule: str = "cosine"
    clipping: str = "adaptive"
    largest_norm: float = 1.0
    weight_decay: float = 1e-5
    memory: str = "automatic"
    warm_up: int = -1
    minimum_rate: float = 0.0
    cycle: int = 10
    plateau_patience: int = 0
    cut_factor: float = 0.5
    step_every: int = 15
    statics: str = "none"

    def __post_init__(self) -> None:
        check_network_settings(self)

    def recipe(self, rate_factor: float = 1.0) -> Recipe:
        """Return the training recipe.

        Parameters
        ----------
        rate_factor : multiplies the rate and the lowest rate, as a training that begins again asks for
        """
        return Recipe(
            self.epochs,
            self.batch,
            self._rates(rate_factor),
            self.clipping,
            self.largest_norm,
            self.weight_decay,
            self.patience,
            self.delta,
            self.device,
            self.precision,
        )

    def _rates(self, factor: float) -> Rates:
        base, share = self.rate * factor, 1e-2 if self.schedule == "cyclic" else 1e-3
        return Rates(
            self.schedule,
            base,
            minimum=self.minimum_rate * factor if self.minimum_rate > 0.0 else base * share,
            warm_up=max(1, self.epochs // 10) if self.warm_up < 0 else self.warm_up,
            total=max(2, self.epochs),
            cycle=self.cycle,
            patience=self.plateau_patience or min(_PLATEAU, max(1, self.patience // 2)),
            factor=self.cut_factor,
            every=self.step_every,
        )

    def is_mapped(self, size: int) -> bool:
        """Return whether a matrix of so many bytes lies in a file."""
        return self.memory == "mapped" or (self.memory == "automatic" and size >= MAPPED_FROM)

    def cut(self, horizon: int, *, stride: int | None = None) -> WindowSettings:
        """Return how windows are cut, with another stride where one is given."""
        return WindowSettings(self.context_length, horizon, self.windows, self.stride if stride is None else stride)


def check_network_settings(settings: NetworkSettings) -> None:
    """Refuse what cannot be trained.

    Raises
    ------
    ConfigError
        With the name, the value and what is expected.
    """
    whole = ("context_length", "width", "heads", "layers", "windows", "stride", "epochs", "batch", "threads")
    for name in whole:
        if getattr(settings, name) < 1:
            raise ConfigError(f"expected {name} >= 1, received {getattr(settings, name)}")
    if not 0.0 <= settings.dropout < 1.0:
        raise ConfigError(f"expected 0 <= dropout < 1, received {settings.dropout}")
    for name in ("rate", "largest_norm"):
        if not getattr(settings, name) > 0.0:
            raise ConfigError(f"expected {name} > 0, received {getattr(settings, name)}")
    if not settings.weight_decay >= 0.0:
        raise ConfigError(f"expected weight_decay >= 0, received {settings.weight_decay}")
    _check_rates(settings)
    named = (("static input", settings.statics, STATICS), ("memory", settings.memory, MEMORY))
    for what, name, known in (
        *named,
        ("schedule", settings.schedule, SCHEDULES),
        ("clipping", settings.clipping, CLIPPING),
    ):
        if name not in known:
            raise UnknownNameError(what, name, known)


def _check_rates(settings: NetworkSettings) -> None:
    """Refuse settings of the schedules that make no rate."""
    if not -1 <= settings.warm_up <= settings.epochs:
        raise ConfigError(f"expected warm_up from -1 to the {settings.epochs} epochs, received {settings.warm_up}")
    if not 0.0 <= settings.minimum_rate <= settings.rate:
        raise ConfigError(f"expected minimum_rate from 0 to the rate {settings.rate}, received {settings.minimum_rate}")
    if not 0.0 < settings.cut_factor < 1.0:
        raise ConfigError(f"expected 0 < cut_factor < 1, received {settings.cut_factor}")
    for name, least in (("cycle", 2), ("step_every", 1), ("plateau_patience", 0)):
        if getattr(settings, name) < least:
            raise ConfigError(f"expected {name} >= {least}, received {getattr(settings, name)}")
