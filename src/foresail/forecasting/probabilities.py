"""Class probabilities made honest: temperature scaling for networks, isotonic and Platt scaling for anything.

All are fitted on validation rows that the model has not learned from, and keep the rows' probabilities summing to 1.

References
----------
[Guo2017] temperature scaling; [Platt1999]; [Zadrozny2002] isotonic regression, one class against the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError, ModelError, UnknownNameError
from foresail.forecasting.artefacts import array_of

__all__ = [
    "IsotonicScaling",
    "PlattScaling",
    "Scaling",
    "TemperatureScaling",
    "fit_scaling",
    "scaling_content",
    "scaling_of",
]

_SMALLEST = 1e-12  # a probability of 0 would make one surprise infinitely costly
_COLDEST, _HOTTEST = 0.01, 100.0


@dataclass(frozen=True, slots=True)
class TemperatureScaling:
    """Logits divided by one temperature: above 1 the model was too sure. The most probable class never changes."""

    temperature: float

    @classmethod
    def fit(cls, probabilities: FloatArray, classes: IntArray) -> TemperatureScaling:
        """Find the temperature with the smallest log loss.

        Parameters
        ----------
        probabilities : (n, C), rows sum to 1
        classes : (n,) what came true, 0 to C - 1

        Raises
        ------
        DataError
            If a class never occurred, or shapes and sums are wrong.
        """
        from scipy.optimize import minimize_scalar

        logits = np.log(np.maximum(_checked(probabilities, classes), _SMALLEST))
        rows = np.arange(len(classes))

        def loss(log_temperature: float) -> float:
            scaled = logits / np.exp(log_temperature)
            top = scaled.max(axis=1)
            total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
            return float(np.mean(total - scaled[rows, classes]))

        found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
        return cls(float(np.round(np.exp(found.x), 6)))

    def apply(self, probabilities: FloatArray) -> FloatArray:
        """Return (n, C) calibrated probabilities; NaN rows stay NaN."""
        scaled = np.log(np.maximum(probabilities, _SMALLEST)) / self.temperature
        grown = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class IsotonicScaling:
    """A rising step function for each class, rows scaled back to a sum of 1.

    Attributes
    ----------
    given, wanted : for each class, the knots of its function
    """

    given: tuple[FloatArray, ...]
    wanted: tuple[FloatArray, ...]

    @classmethod
    def fit(cls, probabilities: FloatArray, classes: IntArray) -> IsotonicScaling:
        """Fit by pooled adjacent violators.

        Raises
        ------
        DataError
            As ``TemperatureScaling.fit``.
        """
        from sklearn.isotonic import IsotonicRegression

        checked = _checked(probabilities, classes)
        knots = []
        for c in range(checked.shape[1]):
            fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
            fitted.fit(checked[:, c], (classes == c).astype(np.float64))
            knots.append((np.asarray(fitted.X_thresholds_, float), np.asarray(fitted.y_thresholds_, float)))
        return cls(tuple(x for x, _ in knots), tuple(y for _, y in knots))

    def apply(self, probabilities: FloatArray) -> FloatArray:
        """Return (n, C) calibrated probabilities; a row that every function sends to 0 becomes the equal one."""
        columns = [np.interp(probabilities[:, c], self.given[c], self.wanted[c]) for c in range(len(self.given))]
        return _shares(np.column_stack(columns), probabilities)


@dataclass(frozen=True, slots=True, eq=False)
class PlattScaling:
    """A logistic function of each class's log odds, rows scaled back to a sum of 1.

    Attributes
    ----------
    slope, intercept : (C,)
    """

    slope: FloatArray
    intercept: FloatArray

    @classmethod
    def fit(cls, probabilities: FloatArray, classes: IntArray) -> PlattScaling:
        """Fit a logistic regression for each class against the rest, with Platt's smoothed targets.

        Raises
        ------
        DataError
            As ``TemperatureScaling.fit``.
        """
        from scipy.optimize import minimize

        checked = _checked(probabilities, classes)
        found = []
        for c in range(checked.shape[1]):
            odds = _log_odds(checked[:, c])
            came = classes == c
            yes, no = int(came.sum()), int((~came).sum())
            goal = np.where(came, (yes + 1.0) / (yes + 2.0), 1.0 / (no + 2.0))

            def loss(theta: FloatArray, odds: FloatArray = odds, goal: FloatArray = goal) -> tuple[float, FloatArray]:
                z = theta[0] * odds + theta[1]
                gap = 1.0 / (1.0 + np.exp(-np.clip(z, -500, 500))) - goal
                return float(np.sum(np.logaddexp(0.0, z) - goal * z)), np.array([gap @ odds, gap.sum()])

            found.append(minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x)
        fitted = np.round(np.array(found), 9)
        return cls(fitted[:, 0], fitted[:, 1])

    def apply(self, probabilities: FloatArray) -> FloatArray:
        """Return (n, C) calibrated probabilities."""
        z = _log_odds(probabilities) * self.slope + self.intercept
        return _shares(1.0 / (1.0 + np.exp(-np.clip(z, -500, 500))), probabilities)


Scaling = TemperatureScaling | IsotonicScaling | PlattScaling
_METHODS: dict[str, Any] = {"temperature": TemperatureScaling, "isotonic": IsotonicScaling, "platt": PlattScaling}


def fit_scaling(method: str, probabilities: FloatArray, classes: IntArray) -> Scaling:
    """Return a scaling by its name: temperature, isotonic or platt.

    Parameters
    ----------
    probabilities : (n, C), rows sum to 1
    classes : (n,) what came true

    Raises
    ------
    UnknownNameError
        If there is no such method.
    DataError
        As ``TemperatureScaling.fit``.
    """
    if method not in _METHODS:
        raise UnknownNameError("scaling of probabilities", method, _METHODS)
    found: Scaling = _METHODS[method].fit(probabilities, classes)
    return found


def scaling_content(scaling: Scaling | None) -> dict[str, Any]:
    """Return the JSON form; None is the scaling that leaves everything."""
    if scaling is None:
        return {"method": "none"}
    if isinstance(scaling, TemperatureScaling):
        return {"method": "temperature", "temperature": scaling.temperature}
    if isinstance(scaling, IsotonicScaling):
        pairs = zip(scaling.given, scaling.wanted, strict=True)
        return {"method": "isotonic", "knots": [[given.tolist(), wanted.tolist()] for given, wanted in pairs]}
    return {"method": "platt", "slope": scaling.slope.tolist(), "intercept": scaling.intercept.tolist()}


def scaling_of(content: dict[str, Any]) -> Scaling | None:
    """Return what ``scaling_content`` took apart.

    Raises
    ------
    ModelError
        If it is of no known method.
    """
    method = content["method"]
    if method == "none":
        return None
    if method == "temperature":
        return TemperatureScaling(float(content["temperature"]))
    if method == "isotonic":
        given, wanted = zip(*content["knots"], strict=True)
        return IsotonicScaling(tuple(array_of(one) for one in given), tuple(array_of(one) for one in wanted))
    if method == "platt":
        return PlattScaling(array_of(content["slope"]), array_of(content["intercept"]))
    raise ModelError(f"calibration of classes by {method!r} is not known", hint="use the version that trained it")


def _log_odds(p: FloatArray) -> FloatArray:
    inside = np.clip(p, _SMALLEST, 1.0 - _SMALLEST)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float64)


def _shares(raw: FloatArray, given: FloatArray) -> FloatArray:
    """Return rows scaled to a sum of 1, equal shares where the sum is 0, NaN where a given row has NaN."""
    total = raw.sum(axis=1, keepdims=True)
    equal = np.full_like(raw, 1.0 / raw.shape[1])
    out = np.divide(raw, total, out=equal, where=total > 0)
    return np.asarray(np.where(np.isnan(given).any(axis=1, keepdims=True), np.nan, out), dtype=np.float64)


def _checked(probabilities: FloatArray, classes: IntArray) -> FloatArray:
    """Return the probabilities if they can be calibrated."""
    if probabilities.ndim != 2 or len(probabilities) != len(classes):
        raise DataError(
            f"expected (n, classes) probabilities and n outcomes, received {probabilities.shape} and {classes.shape}"
        )
    wrong = np.flatnonzero(~(np.abs(probabilities.sum(axis=1) - 1.0) < 1e-6) | (probabilities < 0).any(axis=1))
    if len(wrong):
        raise DataError(f"row {int(wrong[0])}: probabilities must not be negative and must sum to 1")
    counts = np.bincount(classes, minlength=probabilities.shape[1])
    if len(counts) > probabilities.shape[1] or (counts == 0).any():
        absent = [str(c) for c in np.flatnonzero(counts == 0)]
        raise DataError(
            f"calibration of {probabilities.shape[1]} classes: none of the {len(classes)} outcomes is of class "
            f"{', '.join(absent) or 'in range'}",
            hint="take a longer validation part, or join classes",
        )
    return np.asarray(probabilities, dtype=np.float64)
