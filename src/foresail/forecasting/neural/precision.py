"""Where and how exactly a network is trained: device, and number format of its products (TRAIN-23).

``bfloat16`` needs nothing more. ``float16`` has a small range: the loss is scaled up before the backward pass, the
gradients are scaled back before they are clipped, and a step whose gradients overflowed is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from foresail.core.errors import CapabilityError, ConfigError, UnknownNameError
from foresail.forecasting.neural.windows import Batch

__all__ = ["PRECISIONS", "Precision", "device_of", "moved"]

PRECISIONS = ("bfloat16", "float16", "float32", "mixed")
_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def device_of(name: str) -> torch.device:
    """Return the device of a name: ``cpu``, ``cuda``, ``cuda:1``; ``auto`` is the first GPU if there is one.

    Raises
    ------
    CapabilityError
        If there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"expected a device such as cpu, cuda or auto, received {name!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CapabilityError(
            f"device {name} was asked for, this PyTorch sees no GPU", hint="choose the device cpu or auto"
        )
    return device


def moved(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device; on the CPU the batch itself."""
    if device.type == "cpu":
        return batch
    held = batch.segments
    segments = replace(
        held,
        observed=held.observed.to(device, non_blocking=True),
        known=held.known.to(device, non_blocking=True),
        present=held.present.to(device, non_blocking=True),
        static=held.static.to(device, non_blocking=True),
    )
    return replace(batch, segments=segments, targets=batch.targets.to(device), weights=batch.weights.to(device))


class Precision:
    """Backward passes and steps in a number format.

    Parameters
    ----------
    name : of ``PRECISIONS``; ``mixed`` is bfloat16 where the device has it, float16 otherwise, float32 on a CPU
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name not in PRECISIONS:
            raise UnknownNameError("precision", name, PRECISIONS)
        if name == "mixed":
            name = "float32"
            if device.type == "cuda":
                name = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        self.name = name
        self._device = device
        self._scaler = torch.amp.GradScaler(device.type) if name == "float16" else None

    def cast(self) -> AbstractContextManager[Any]:
        """Return the context in which a loss is computed."""
        if self.name == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=_TYPES[self.name])

    def backward(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        """Compute gradients, in their own scale afterwards so that they can be clipped."""
        if self._scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]
            return
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(optimiser)

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        """Step, unless half-precision gradients overflowed."""
        if self._scaler is None:
            optimiser.step()
            return
        self._scaler.step(optimiser)
        self._scaler.update()

    def to_plain(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {} if self._scaler is None else dict(self._scaler.state_dict())

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take back what ``to_plain`` gave."""
        if self._scaler is not None and plain:
            self._scaler.load_state_dict(dict(plain))
