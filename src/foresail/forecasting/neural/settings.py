"""What can be set of a network and its training; the defaults are those of a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.core.errors import ConfigError
from foresail.forecasting.neural.recipe import Rates
from foresail.forecasting.neural.training import Recipe
from foresail.forecasting.neural.windows import WindowSettings

__all__ = ["NetworkSettings", "check_network_settings"]


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Shape and training of a network forecaster.

    Attributes
    ----------
    context_length : C bars back
    width, heads, layers, dropout : of the network; ``heads`` is used by attention only
    windows, stride : of a training segment; an epoch sees one origin in ``stride`` bars
    epochs, batch, rate, patience, delta : of training; ``batch`` counts forecast origins
    threads : of training; fixed, so that weights do not depend on the machine's own number
    device, precision : of training: cpu, cuda or auto; float32, mixed, bfloat16 or float16
    minimum_windows : training windows below which no network is trained (TRAIN-06)
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

    def __post_init__(self) -> None:
        check_network_settings(self)

    def recipe(self, rate_factor: float = 1.0) -> Recipe:
        """Return the training recipe; a tenth of the epochs, at least one, warm the rate up."""
        base = self.rate * rate_factor
        rates = Rates(base=base, minimum=base * 1e-3, warm_up=max(1, self.epochs // 10), total=max(2, self.epochs))
        return Recipe(
            self.epochs,
            self.batch,
            rates,
            patience=self.patience,
            delta=self.delta,
            device=self.device,
            precision=self.precision,
        )

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
    if not settings.rate > 0.0:
        raise ConfigError(f"expected a rate above 0, received {settings.rate}")
