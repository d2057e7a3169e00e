"""Do the tests keep the error they promise, and do they find what is there: size and power on simulated data.

Each row is a null on which the test should reject with its nominal probability, and an alternative that it should
find. Rows marked "shown to fail" are the wrong tool on purpose: the naive reading of the same data.

    python tests/accuracy/test_statistics_size.py --write

prints the table and puts it into docs/guide/statistics.md, with that of what skill is called. 1,000 sets give a size of
5 % a binomial error of .7 points.
"""

from __future__ import annotations

import argparse
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm

from foresail.measures.bootstrap import BootstrapSettings, mean_interval, statistic_interval
from foresail.measures.clustered import clustered_mean, mean_over_days
from foresail.measures.comparisons import diebold_mariano
from foresail.measures.confidence_set import model_confidence_set
from foresail.measures.distribution import anderson_darling_test, shortfall_test, uniformity_test
from foresail.measures.exceedances import conditional_coverage, independence_test, kupiec_test
from foresail.measures.power import skill_table
from foresail.measures.superiority import reality_check, superior_models, superior_predictive_ability

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "statistics.md"
SETS = 1000
SETTINGS = BootstrapSettings(draws=500)
BAND = (0.03, 0.07)

Rejects = Callable[[np.random.Generator, bool], bool]  # (generator, is the alternative true) -> rejected


@dataclass(frozen=True)
class Row:
    test: str
    data: str
    effect: str
    rejects: Rejects
    nominal: float = 0.05
    band: tuple[float, float] = BAND
    power: float = 0.5
    sets: int = SETS


def autoregressive(random, phi, shape):
    """Return AR(1) columns of variance 1 after a burn-in of 100."""
    shock = random.normal(size=(shape[0] + 100, *shape[1:])) * np.sqrt(1 - phi * phi)
    return lfilter([1.0], [1.0, -phi], shock, axis=0)[100:]


def many(test, *, phi=0.0, length=250, models=10, edge=0.25):
    def rejects(random, planted):
        losses = autoregressive(random, phi, (length, models + 1))
        if planted:
            losses[:, 3] -= edge
        return test(losses[:, 0], losses[:, 1:])

    return rejects


def by_p_value(test):
    return lambda benchmark, losses: test(benchmark, losses, SETTINGS).p_value < 0.05


def confidence(statistic, *, phi=0.0):
    def rejects(random, planted):
        losses = autoregressive(random, phi, (250, 8))
        if planted:
            losses[:, 2] += 0.3
            return not model_confidence_set(losses, statistic=statistic, settings=SETTINGS).included[2]
        # all eight are best: the set must hold them all
        return not model_confidence_set(losses, statistic=statistic, settings=SETTINGS).included.all()

    return rejects


def best_lost(random, planted):
    losses = autoregressive(random, 0.0, (250, 8))
    losses[:, 1:] += 0.5 if planted else 0.1
    found = model_confidence_set(losses, settings=SETTINGS).included
    return found.sum() == 1 if planted else not found[0]


def diebold(phi, horizon, variance, length=250, edge=0.3):
    def rejects(random, planted):
        if horizon > 1:
            shock = random.normal(size=(length + horizon - 1, 2))
            loss = np.stack([np.convolve(s, np.ones(horizon), "valid") ** 2 for s in shock.T], axis=1) / horizon
        else:
            loss = autoregressive(random, phi, (length, 2))
        loss[:, 0] += edge * (2.5 if horizon > 1 else 1.0) * planted
        return diebold_mariano(loss[:, 0], loss[:, 1], horizon=horizon, variance=variance).p_value < 0.05

    return rejects


def kupiec(length, level, law):
    def rejects(random, planted):
        breaches = int(random.binomial(length, level * (3.0 if planted else 1.0)))
        return kupiec_test(length, breaches, level=level, law=law).p_value < 0.05

    return rejects


def clusters(length, level, law, *, joint):
    def rejects(random, planted):
        draw = random.random(length)
        hits = draw < level
        if planted:  # after a breach the next is many times likelier
            for t in range(1, length):
                hits[t] = draw[t] < (0.4 if hits[t - 1] else level)
        found = conditional_coverage(hits, level=level, law=law) if joint else independence_test(hits, law=law)
        return found.p_value < 0.05

    return rejects


def uniform(test):
    def rejects(random, planted):
        sample = random.standard_t(4, 500) / np.sqrt(2) if planted else random.normal(size=500)
        return test(np.clip(norm.cdf(sample), 1e-15, 1 - 1e-15)).p_value < 0.05

    return rejects


def shortfall(random, planted):
    value_at_risk = -norm.ppf(0.025)
    returns = random.normal(size=250) * (1.3 if planted else 1.0)
    tail = norm.pdf(value_at_risk) / 0.025
    return shortfall_test(returns, value_at_risk, tail, level=0.025, degrees_of_freedom=None).p_value < 0.05


def bootstrap(phi, kind, effect=0.3):
    def rejects(random, planted):
        series = autoregressive(random, phi, (500,)) + effect * planted
        if kind == "t":
            reach = 1.965 * series.std(ddof=1) / np.sqrt(500)
            return abs(series.mean()) > reach
        if kind == "circular":
            found = mean_interval(series, SETTINGS)
        else:
            found = statistic_interval(series, lambda drawn: drawn.mean(axis=1), SETTINGS)
        return not found.low <= 0.0 <= found.high

    return rejects


def names(kind, *, overlap=1):
    days, count = 250, 30

    def rejects(random, planted):
        common = random.normal(size=days + overlap - 1)
        common = np.convolve(common, np.ones(overlap) / np.sqrt(overlap), "valid")
        table = np.sqrt(0.3) * common[:, None] + np.sqrt(0.7) * random.normal(size=(days, count)) + 0.15 * planted
        if kind == "naive":
            return abs(table.mean()) > 1.96 * table.std() / np.sqrt(table.size)
        if kind == "clustered":
            found = clustered_mean(table.ravel(), np.repeat(np.arange(days), count)).interval
        else:
            found = mean_over_days(table.mean(axis=1), dependence=kind).interval
        return not found.low <= 0.0 <= found.high

    return rejects


EXACT = (0.0, 0.06)  # whole numbers of breaches: exact tests err at most 5 %, mostly less
FAILS = (0.08, 1.0)
WIDE = (0.02, 0.08)


def stepm(benchmark, losses):
    return bool(superior_models(benchmark, losses, SETTINGS).any())


TEN = "10 models, 250 dates"
EDGE = "one better by .25 s"
MARKOV = "40 % after a breach"
ROWS = (
    Row("White's reality check", TEN, EDGE, many(by_p_value(reality_check))),
    Row("SPA", TEN, EDGE, many(by_p_value(superior_predictive_ability))),
    Row("SPA", TEN + ", AR(1) .4", EDGE, many(by_p_value(superior_predictive_ability), phi=0.4), band=WIDE, power=0.15),
    Row("StepM, any wrong", TEN, EDGE, many(stepm)),
    Row(
        "confidence set, range",
        "8 equal models, 250 dates",
        "one worse by .3 s",
        confidence("range"),
        0.10,
        (0.07, 0.13),
    ),
    Row(
        "confidence set, maximum",
        "8 equal models, 250 dates",
        "one worse by .3 s",
        confidence("maximum"),
        0.10,
        (0.07, 0.13),
    ),
    Row("confidence set, best lost", "1 best by .1 s of 8", "best alone, by .5 s", best_lost, 0.10, (0.0, 0.10)),
    Row("Diebold-Mariano", "h = 1, 250 dates", "means .3 s apart", diebold(0.0, 1, "truncated")),
    Row("Diebold-Mariano", "h = 5 overlapping, 250 dates", "means .75 apart", diebold(0.0, 5, "truncated"), band=WIDE),
    Row("Diebold-Mariano, cosine", "h = 5 overlapping, 250 dates", "means .75 apart", diebold(0.0, 5, "cosine")),
    Row(
        "Diebold-Mariano, cosine",
        "AR(1) .6 losses, 250 dates",
        "means .3 s apart",
        diebold(0.6, 1, "cosine"),
        power=0.2,
    ),
    Row(
        "Diebold-Mariano (shown to fail)",
        "AR(1) .6 losses, 250 dates",
        "means .3 s apart",
        diebold(0.6, 1, "truncated"),
        band=FAILS,
        power=0.2,
    ),
    Row("Kupiec (shown to fail)", "1 % of 250", "3 %", kupiec(250, 0.01, "asymptotic"), band=FAILS, sets=10_000),
    Row("Kupiec, exact", "1 % of 250", "3 %", kupiec(250, 0.01, "exact"), band=EXACT, sets=10_000),
    Row("Kupiec", "5 % of 1,000", "15 %", kupiec(1000, 0.05, "asymptotic"), band=BAND, sets=4000),
    Row("Kupiec, exact", "5 % of 1,000", "15 %", kupiec(1000, 0.05, "exact"), band=BAND, sets=4000),
    Row(
        "Christoffersen (independence)",
        "5 % of 1,000",
        MARKOV,
        clusters(1000, 0.05, "asymptotic", joint=False),
        band=(0.0, 1.0),
    ),
    Row("Christoffersen, exact", "5 % of 1,000", MARKOV, clusters(1000, 0.05, "exact", joint=False), band=EXACT),
    Row(
        "Christoffersen, exact", "1 % of 250", MARKOV, clusters(250, 0.01, "exact", joint=False), band=EXACT, power=0.2
    ),
    Row(
        "conditional coverage", "5 % of 1,000", MARKOV, clusters(1000, 0.05, "asymptotic", joint=True), band=(0.0, 1.0)
    ),
    Row(
        "conditional coverage, exact",
        "1 % of 250",
        MARKOV,
        clusters(250, 0.01, "exact", joint=True),
        band=EXACT,
        power=0.2,
    ),
    Row("PIT, Kolmogorov-Smirnov", "normal, 500", "t(4) said to be normal", uniform(uniformity_test), power=0.1),
    Row("PIT, Anderson-Darling", "normal, 500", "t(4) said to be normal", uniform(anderson_darling_test), power=0.2),
    Row("Acerbi-Szekely Z2", "normal, 250 days, ES 97.5 %", "volatility 1.3 times", shortfall),
    Row("bootstrap interval, circular", "independent, 500", "mean .3 s", bootstrap(0.0, "circular")),
    Row("bootstrap interval, circular", "AR(1) .5, 500", "mean .3 s", bootstrap(0.5, "circular"), band=WIDE),
    Row("bootstrap interval, stationary", "AR(1) .5, 500", "mean .3 s", bootstrap(0.5, "stationary"), band=WIDE),
    Row("t interval (shown to fail)", "AR(1) .5, 500", "mean .3 s", bootstrap(0.5, "t"), band=FAILS),
    Row("clustered by day", "30 names, correlation .3, 250 days", "mean .15 s", names("clustered")),
    Row("mean over days", "30 names, correlation .3, 250 days", "mean .15 s", names("independent")),
    Row("mean over days, cosine", "the same, labels of 5 days", "mean .15 s", names("cosine", overlap=5), power=0.2),
    Row(
        "rows as independent (shown to fail)",
        "30 names, correlation .3, 250 days",
        "mean .15 s",
        names("naive"),
        band=FAILS,
    ),
)


@cache
def measured(index):
    """Return size and power of a row."""
    row = ROWS[index]
    name = zlib.crc32(f"{row.test}, {row.data}".encode())  # a new row changes no other
    size = np.mean([row.rejects(np.random.default_rng([name, 0, s]), False) for s in range(row.sets)])
    power = np.mean([row.rejects(np.random.default_rng([name, 1, s]), True) for s in range(row.sets // 4)])
    return float(size), float(power)


def table():
    lines = ["| test | null | nominal | size | to be found | found |", "|---|---|---|---|---|---|"]
    for index, row in enumerate(ROWS):
        size, power = measured(index)
        told = f"{100 * row.nominal:.0f} % | {100 * size:.1f} % | {row.effect} | {100 * power:.0f} %"
        lines.append(f"| {row.test} | {row.data} | {told} |")
    return "\n".join(lines)


@pytest.mark.accuracy
@pytest.mark.parametrize("index", range(len(ROWS)), ids=lambda i: f"{ROWS[i].test}, {ROWS[i].data}")
def test_size_and_power(index):
    row = ROWS[index]
    size, power = measured(index)
    assert row.band[0] <= size <= row.band[1]
    assert power >= row.power


@pytest.mark.accuracy
def test_table_is_printed():
    sys.stdout.write("\n" + table() + "\n")


def skills():
    lines = ["| right signs | correlation | R squared | Sharpe ratio a year | calls needed |", "|---|---|---|---|---|"]
    for one in skill_table():
        share = f"{100 * one.r_squared:.1f} %"
        lines.append(
            f"| {100 * one.hit_rate:.0f} % | {one.correlation:.3f} | {share} | {one.sharpe:.1f} | {one.calls:,} |"
        )
    return "\n".join(lines)


def placed(page, name, text):
    block = f"<!-- {name} table -->\n{text}\n<!-- end -->"
    return re.sub(rf"<!-- {name} table -->\n.*?<!-- end -->", lambda _: block, page, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/guide/statistics.md")
    options = parser.parse_args()
    text = table()
    sys.stdout.write(text + "\n")
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(placed(placed(page, "size", text), "skill", skills()), encoding="utf-8")


if __name__ == "__main__":
    main()
