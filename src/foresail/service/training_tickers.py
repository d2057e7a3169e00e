"""One model for each ticker by one command (FCST-16, TRAIN-31): each with its own scaler, calibration, card and name.

The trainings are those of ``train_model``, one after another; features see the whole market, rows are those of the
ticker alone. A ticker that cannot be trained is told, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from foresail.core.clock import Clock
from foresail.core.errors import ConfigError, DataError, ModelError
from foresail.protocols import Progress
from foresail.service.loading import load_reading, parse_until
from foresail.service.market_symbols import rows_of_symbols
from foresail.service.outcome import Outcome
from foresail.service.training import train_model
from foresail.service.training_job import symbols_of
from foresail.service.training_request import TrainRequest, with_config
from foresail.service.workspace import find_workspace

__all__ = ["train_tickers"]


def train_tickers(
    request: TrainRequest,
    *,
    progress: Progress,
    note: Callable[[str], None] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Train a model for each ticker of ``request.symbols``, of all instruments where it names none.

    Parameters
    ----------
    note, clock : as of ``train_model``

    Raises
    ------
    UserError
        If the request names something unknown.
    DataError, ModelError
        If the bars cannot be used, or no ticker at all can be trained; the reason is that of the first.
    """
    request = with_config(request)
    if request.sector is not None:
        raise ConfigError("--per-ticker trains afresh, --sector goes on from a base", hint="give one of the two")
    if not request.data:
        raise ConfigError("expected bars to train on", hint="--bars FILE, or the name of an imported set")
    asked = replace(request.reading, timezone=request.timezone, names=request.names)
    until = parse_until(request.until)
    loaded = load_reading(request.data, asked, workspace=find_workspace(), until_ns=until, clock=clock)
    instruments = [str(loaded.data.bars.instruments[i]) for i in rows_of_symbols(loaded.data, symbols_of(request))]
    del loaded
    lines: list[str] = []
    models, refused = [], []
    first: DataError | ModelError | None = None
    for name in instruments:
        one = replace(request, symbols=name, per_ticker=True)
        try:
            told = train_model(one, progress=progress, note=note, clock=clock)
        except (DataError, ModelError) as e:
            refused.append({"instrument": name, "reason": e.text})
            first = first or e
            continue
        models.append({"instrument": name, **told.document})
        lines += [*told.lines, ""]
    if first is not None and not models:
        raise first
    lines += [f"{one['instrument']} was not trained: {one['reason']}" for one in refused]
    lines.append(f"{len(models)} of {len(instruments)} tickers have a model of their own")
    return Outcome({"models": models, "refused": refused}, lines)
