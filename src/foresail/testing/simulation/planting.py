"""A planted bug: a mistake put into the code for the length of a run, and where it must be caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from foresail.testing.simulation.account import run_account
from foresail.testing.simulation.faults import FaultMix
from foresail.testing.simulation.settings import WorldSettings
from foresail.testing.simulation.trading import make_trading_core
from foresail.testing.simulation.world import run_seed

__all__ = ["PlantedBug"]


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A mistake.

    Attributes
    ----------
    family : what it is called where it happened (design notes on reliability, section 2)
    make : (the right function) -> the wrong one
    fits_all : whether it can be planted under any core, not only under the reference core
    fits_reference : whether the reference core has what it breaks; else it shows under the trading core
    fits_account : it breaks what only a whole account has, and shows there (``account.run_account``)
    mix : faults under which it shows, where those that a seed draws show it too seldom
    first : seed from which on it is looked for, where it shows in one of many accounts only
    """

    name: str
    family: str
    owner: Any
    attribute: str
    make: Callable[[Any], Any]
    fits_all: bool = True
    fits_reference: bool = True
    fits_account: bool = False
    mix: FaultMix | None = None
    first: int = 0

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Put the bug in place, and take it out again."""
        right = self.owner.__dict__[self.attribute]
        wrong = self.make(right)
        table = getattr(self.owner, "_HANDLERS", {})  # folds look their functions up by the kind of an entry
        kinds = [kind for kind, one in table.items() if one is right]
        setattr(self.owner, self.attribute, wrong)
        table.update(dict.fromkeys(kinds, wrong))
        try:
            yield
        finally:
            setattr(self.owner, self.attribute, right)
            table.update(dict.fromkeys(kinds, right))

    def caught(self, seeds: int) -> int | None:
        """Return the first seed that finds the bug where it shows, None where none of so many does."""
        with self.planted():
            return next((seed for seed in range(self.first, self.first + seeds) if self.violation(seed)), None)

    def violation(self, seed: int) -> str:
        """Return what a seed finds under the core that has what the bug breaks, planted or not."""
        if self.fits_account:
            return run_account(seed)
        settings = WorldSettings() if self.fits_reference else WorldSettings(make_core=make_trading_core)
        return run_seed(seed, settings, self.mix).violation
