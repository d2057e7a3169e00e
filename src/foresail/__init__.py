"""Foresail: calibrated forecasts, honest backtests, one engine for history and live.

The public names of the package are loaded on first use, so that ``import foresail`` stays light.
"""

from __future__ import annotations

__version__ = "0.1.0"
