"""Alerts: what somebody should be told, how urgently, and when the same thing was last said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Alert", "Severity"]


class Severity(StrEnum):
    """How urgent an alert is."""

    INFO = "INFO"
    WARNING = "WARNING"
    ALERT = "ALERT"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; alerts of equal ``kind`` are the same thing said again.

    Attributes
    ----------
    kind : requirement id and what it is about, for example ``ALERT-02 stock.US.AAPL``
    """

    kind: str
    severity: Severity
    text: str
