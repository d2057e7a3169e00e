"""Every error that Foresail raises, in one tree.

ForesailError
├─ UserError
│  ├─ ConfigError
│  ├─ UnknownNameError
│  └─ CapabilityError
├─ VenueError
│  ├─ RateLimitedError
│  ├─ AuthenticationError
│  ├─ OrderRejectedError
│  └─ MalformedPayloadError
├─ DataError
│  ├─ GapError
│  ├─ StaleDataError
│  └─ LookAheadError
├─ ModelError
│  ├─ NotFittedError
│  └─ NonFiniteOutputError
└─ IntegrityError
   └─ JournalStoppedError

A text says what was expected, what was received and what to do next; facts are fields, never parsed from text.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "AuthenticationError",
    "CapabilityError",
    "ConfigError",
    "DataError",
    "ForesailError",
    "GapError",
    "IntegrityError",
    "JournalStoppedError",
    "LookAheadError",
    "MalformedPayloadError",
    "ModelError",
    "NonFiniteOutputError",
    "NotFittedError",
    "OrderRejectedError",
    "RateLimitedError",
    "StaleDataError",
    "UnknownNameError",
    "UserError",
    "VenueError",
]


class ForesailError(Exception):
    """Root of all errors that Foresail raises on purpose.

    Parameters
    ----------
    text : what was expected, what was received
    hint : what to type or do next
    """

    def __init__(self, text: str, *, hint: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint

    def __str__(self) -> str:
        return self.text if self.hint is None else f"{self.text}\n  next: {self.hint}"


class UserError(ForesailError):
    """The request or the settings are wrong; the text says how to mend them."""


class ConfigError(UserError):
    """A settings file or option has an unknown key, a wrong type or a value out of range."""


class UnknownNameError(UserError):
    """A name that is not known, told together with the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str | None = None) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(sorted(known))
        shown = ", ".join(self.known[:30]) + (f" ... ({len(self.known)} in all)" if len(self.known) > 30 else "")
        near = get_close_matches(name, self.known, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"unknown {kind} {name!r}.{guess} Known: {shown or 'none'}", hint=hint)


class CapabilityError(UserError):
    """Something that this installation, venue or data set cannot do; the text names what is missing."""


class VenueError(ForesailError):
    """An outside party failed."""

    def __init__(
        self,
        text: str,
        *,
        venue: str,
        retryable: bool = False,
        retry_after_s: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(text, hint=hint)
        self.venue = venue
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class RateLimitedError(VenueError):
    """The venue asks us to slow down."""


class AuthenticationError(VenueError):
    """The venue refuses our credentials."""


class OrderRejectedError(VenueError):
    """The venue refused an order for good."""


class MalformedPayloadError(VenueError):
    """The venue answered with something that cannot be read."""


class DataError(ForesailError):
    """Data cannot be used. Where known: file, row (1-based, header not counted), column and rule."""

    def __init__(
        self,
        text: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        rule: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(text, hint=hint)
        self.file = file
        self.row = row
        self.column = column
        self.rule = rule


class GapError(DataError):
    """Bars that must exist are absent."""


class StaleDataError(DataError):
    """The newest value is too old, or time stands in the future."""


class LookAheadError(DataError):
    """Something used a value before it was available."""


class ModelError(ForesailError):
    """A forecaster cannot do what was asked."""


class NotFittedError(ModelError):
    """The forecaster was asked to predict before it was fitted."""


class NonFiniteOutputError(ModelError):
    """A forecaster produced NaN or infinity."""


class IntegrityError(ForesailError):
    """An invariant of our own is broken: trading halts, positions are kept, a person is told."""


class JournalStoppedError(IntegrityError):
    """The journal could not be made durable: nothing is sent from now on, in this process and for good."""
