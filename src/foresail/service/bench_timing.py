"""What the bench of networks times with: processor beside wall, on an accelerator wall alone, rounds in turn, rows.

On an accelerator the processor only waits, so seconds of the wall count there, taken when the device has done its work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.clock import SystemClock

__all__ = ["Taken", "Watch", "median", "ratio", "row"]

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of an action.

    Attributes
    ----------
    worked : of the processor; on an accelerator those of the wall
    passed : of the wall
    """

    worked: float
    passed: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Times actions on a device.

    Attributes
    ----------
    device : cpu, or the name of an accelerator
    """

    device: str = "cpu"

    @property
    def is_accelerator(self) -> bool:
        """Whether there is another device than the processor."""
        return self.device != "cpu"

    @property
    def second(self) -> str:
        """How rows call the seconds that count."""
        return "s" if self.is_accelerator else "cpu s"

    def timed(self, action: Callable[[], object]) -> Taken:
        """Return how long an action takes, to the end of what it asked of the device."""
        self._wait()
        began, worked = _CLOCK.monotonic_s(), time.process_time()
        action()
        self._wait()
        worked, passed = time.process_time() - worked, _CLOCK.monotonic_s() - began
        return Taken(passed if self.is_accelerator else worked, passed)

    def rounds(self, actions: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, list[Taken]]:
        """Run all actions once, then in turn, as often as asked for; a short one thrice a round, the median counts."""
        warm = {name: self.timed(action) for name, action in actions.items()}
        warm |= {name: self.timed(actions[name]) for name, first in warm.items() if first.passed < 5.0}
        times: dict[str, list[Taken]] = {name: [] for name in actions}
        for _ in range(repetitions):
            for name, action in actions.items():
                count = 3 if warm[name].passed < 2.0 else 1
                runs = sorted((self.timed(action) for _ in range(count)), key=lambda t: t.worked)
                times[name].append(runs[len(runs) // 2])
        return times

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Keep products in float32: an accelerator's recurrent layers would round them to ten bits by default."""
        import torch

        if not self.is_accelerator:
            yield
            return
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield

    def _wait(self) -> None:
        if self.is_accelerator:
            import torch

            torch.cuda.synchronize()


def median(values: list[float]) -> float:
    """Return the median."""
    return float(np.median(values))


def ratio(slow: list[Taken], fast: list[Taken]) -> float:
    """Return the median over rounds of how much longer one took than the other."""
    return median([a.worked / b.worked for a, b in zip(slow, fast, strict=True)])


def row(
    name: str, value: float | None, unit: str, target: str = "", *, met: bool | None = None, note: str = ""
) -> dict[str, Any]:
    """Return a row of the result; ``value`` None where it could not be measured, which ``note`` explains."""
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met, "note": note}
