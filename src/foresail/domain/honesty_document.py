"""The contract of ``honesty.json``: its keys. The document holds the trials and all that depends on them."""

from __future__ import annotations

__all__ = ["HONESTY_KEYS"]

# path, type, unit, meaning
HONESTY_KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("trials", "integer", "", "distinct (settings, code, data lineage) tried so far"),
    ("trials_are_complete", "boolean", "", "false where the registry was lost or damaged"),
    (
        "trial_count",
        "object",
        "",
        "the trials of this lineage: n, sharpes (per bar), variance_of_sharpes, is_complete, notes",
    ),
    (
        "trial_variance",
        "number",
        "squared, per bar",
        "variance of the trials' Sharpe ratios that the hurdle rests on",
    ),
    (
        "observations",
        "integer",
        "bars",
        "length of the series that is judged: net minus 1/N of the same names",
    ),
    ("years", "number", "years", "the same in years"),
    ("bars_per_year", "number", "bars", "factor of annualisation"),
    ("sharpe", "number", "per year", "Sharpe ratio of the difference"),
    (
        "adjusted_sharpe",
        "number",
        "per year",
        "the same with the long-run volatility, which autocorrelation widens or narrows",
    ),
    ("skew", "number", "ratio", "skewness of the difference"),
    ("kurtosis", "number", "ratio", "kurtosis of the difference; 3 for a normal distribution"),
    ("hurdle", "number", "per year", "Sharpe ratio that the best of so many trials without skill would show"),
    (
        "deflated_sharpe",
        "number",
        "probability",
        "that the Sharpe ratio exceeds the hurdle; with one trial it is PSR against 0",
    ),
    ("probabilistic_sharpe", "number", "probability", "that the Sharpe ratio exceeds 0"),
    (
        "minimum_track_record_years",
        "number",
        "years",
        "record needed for the Sharpe ratio shown; null where none would do",
    ),
    ("smallest_detectable_sharpe", "number", "per year", "what this much data could have shown"),
    ("probability_of_overfitting", "number", "probability", "PBO; null where undefined"),
    ("notes[]", "string", "", "what the figures assume"),
)
