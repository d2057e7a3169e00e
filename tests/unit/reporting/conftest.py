"""A report as a real run would fill it, from seeded random numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foresail.core.clock import NS_PER_DAY
from foresail.domain.quality import QualityFlag, QualityReport, QuarantinedRow
from foresail.domain.runs import CanaryResult, Interval, Verdict, VerdictWord
from foresail.reporting import model as m

NAMES = ("AAPL", "AXP", "BA", "CVX", "DIS", "GE", "HD", "IBM", "INTC", "JNJ", "JPM", "KO", "MCD", "MMM", "MRK", "MSFT")
SECTORS = ("Technology", "Financials", "Industrials", "Energy", "Communication services", "Health care")
LABELS = {
    "net": "Strategy, net",
    "gross": "Strategy, gross",
    "net_2x": "Strategy, twice the cost",
    "one_over_n": "1/N, same names",
    "index": "S&P 500",
    "trend": "Trend, volatility-scaled",
}


def _equity() -> m.EquityBlock:
    rng = np.random.default_rng(5)
    days = 7_560
    end = np.unique((8_404 + np.arange(days) * 1.46).astype(np.int64)) * NS_PER_DAY + 21 * 3600 * 10**9
    market = rng.standard_t(4, len(end)) * 0.0075 + 0.00035
    noise = rng.normal(0, 0.004, len(end))
    edges = {"net": 0.0, "gross": 0.00012, "net_2x": -0.00012, "one_over_n": 0.00003, "index": 0.0, "trend": -0.0001}
    mix = {"one_over_n": 0.0, "index": 0.0, "trend": 0.5}
    series, rows = [], []
    for key, edge in edges.items():
        returns = market * (0.6 if key == "trend" else 1.0) + edge + noise * (mix.get(key, 1.0))
        curve = 100_000 * np.cumprod(1 + returns)
        series.append(m.Series(key, LABELS[key], curve))
        years = len(end) / 252
        volatility = float(returns.std() * math.sqrt(252))
        sharpe = float(returns.mean() * 252 / volatility)
        fall = float((1 - curve / np.maximum.accumulate(curve)).max())
        annual = float((curve[-1] / 100_000) ** (1 / years) - 1)
        rows.append(
            m.Performance(
                key,
                LABELS[key],
                float(curve[-1] / 100_000 - 1),
                annual,
                volatility,
                Interval(sharpe, sharpe - 0.36, sharpe + 0.37),
                fall,
            )
        )
    return m.EquityBlock(
        end, tuple(series), tuple(rows), Interval(-0.008, -0.031, 0.014), Interval(-0.033, -0.057, -0.009)
    )


def _calibration() -> m.Calibration:
    rng = np.random.default_rng(6)
    rows = []
    for fold in range(15):
        for horizon in (1, 5):
            c = 0.8 + float(rng.normal(0, 0.012))
            rows.append(
                m.CoverageRow(
                    str(1993 + 2 * fold), horizon, Interval(c, c - 0.018, c + 0.018), 0.035 * horizon**0.5, 9_800
                )
            )
    baselines = []
    for h in (1, 5):
        for name, p, ic in (
            ("Quantile trees", 0.00412, 0.011),
            ("No change", 0.00419, math.nan),
            ("Drift", 0.00420, 0.004),
            ("Last direction", 0.00431, -0.006),
        ):
            baselines.append(
                m.BaselineRow(
                    name,
                    h,
                    p * h**0.5,
                    3 * p * h**0.5,
                    Interval(ic, ic - 0.008, ic + 0.008),
                    0.5 + (0 if ic != ic else ic),
                    name == "Quantile trees",
                )
            )
    history = 180 * np.cumprod(1 + rng.normal(0.0004, 0.014, 120))
    ends = (19_180 + np.arange(120) * 1.45).astype(np.int64) * NS_PER_DAY
    z = np.array([-2.05, -1.28, -0.67, 0, 0.67, 1.28, 2.05])
    quantiles = np.array([history[-1] * np.exp(0.001 * h + z * 0.015 * math.sqrt(h)) for h in (1, 5)])
    fan = m.Fan(
        "MSFT",
        "USD",
        ends,
        history,
        (1, 5),
        (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98),
        quantiles,
        np.array([history[-1] * 1.006, math.nan]),
    )
    return m.Calibration(tuple(rows), tuple(baselines), fan)


def _slices() -> tuple[m.SliceGroup, ...]:
    rng = np.random.default_rng(8)
    text = "net return above 1/N, a year"
    years = []
    for year in range(1993, 2023):
        v = float(rng.normal(-0.008, 0.05))
        years.append(m.SliceRow(str(year), Interval(v, v - 0.09, v + 0.09), 252))
    sectors = []
    for s in SECTORS:
        v = float(rng.normal(-0.005, 0.02))
        sectors.append(m.SliceRow(s, Interval(v, v - 0.02, v + 0.02), 900))
    return (
        m.SliceGroup("By year", text, "bars", tuple(years)),
        m.SliceGroup("By sector", "net contribution above 1/N, a year", "trades", tuple(sectors)),
        m.SliceGroup("By regime", text, "bars", m.Absent("Regimes need 250 bars of the index; it starts later.")),
    )


def _signals() -> m.Signals:
    rows = []
    for i, (name, r) in enumerate(
        zip(("MSFT", "JNJ", "HD", "KO", "DIS", "GE"), (1.9, 1.4, 1.1, 0.7, -0.4, -0.9), strict=True)
    ):
        p = 60.0 + 35 * i
        rows.append(
            m.SignalRow(
                i + 1,
                f"stock.US.{name}",
                name,
                "buy" if r > 0.5 else "sell" if r < -0.5 else "hold",
                5,
                0.62 - 0.02 * i,
                r / 100,
                r / 100 - 0.04,
                r / 100 + 0.04,
                0.0012,
                0.1 if r > 0.5 else math.nan,
                25_310.4 if r > 0.5 else math.nan,
                p,
                p * 0.95 if r > 0.5 else math.nan,
                p * 1.08 if r > 0.5 else math.nan,
                (
                    f"Expected {r:+.1f} % over 5 sessions, above the cost of 0.12 %.",
                    "Leans on: 20-day momentum (high), distance from the 50-day mean (low), volatility (falling).",
                ),
                "SIG-15",
                r > 0.5,
            )
        )
    return m.Signals(
        1_672_350_000 * 10**9,
        tuple(rows),
        "214 of 1,512 decisions (14.2 %) passed the confidence filter of 0.70; they earned +0.31 % each before cost.",
        ("SIG-04 to SIG-07: not evaluated, no sentiment.",),
    )


def _honesty() -> m.HonestyBlock:
    canaries = (
        ("Shuffled labels", "Mean rank correlation 0.0007, within two standard errors (0.0031) of 0."),
        ("Perturbed future", "4,212 decisions before 2014-06-30 are equal bit by bit."),
        ("One-bar lag", "Skill fell from 0.0110 to 0.0072; it must not rise by more than 0.0062."),
        ("Random walk", "312 trades: gross -0.4 % a year [-2.1 %, 1.3 %]; net is gross minus 8,214.55 USD of costs."),
        ("Price scale", "AAPL times 1,000 changes no rank, side or forecast."),
    )
    rows = (
        m.SelfCalibrationRow("without an edge", 0.0, 40, 2, "at most 7 %", passed=True),
        m.SelfCalibrationRow("with an edge", 0.05, 40, 35, "at least 80 %", passed=True),
    )
    leak = m.LeakFinding(
        "examples/leaky.py",
        14,
        "close",
        "2004-03-18",
        "`close.shift(-1)` reads the close of the next bar. The value at 2004-03-18 changes when later bars change.",
        6.4,
    )
    return m.HonestyBlock(
        3,
        trials_are_complete=True,
        years=30.0,
        deflated_sharpe=0.21,
        probabilistic_sharpe=0.27,
        min_track_record_years=math.nan,
        smallest_detectable_sharpe=0.46,
        probability_of_overfitting=math.nan,
        overfitting_text="not defined: no inner candidates",
        canaries=tuple(CanaryResult(n, passed=True, text=t) for n, t in canaries),
        notes=("The track record needed is undefined: the Sharpe ratio of the difference is below 0.",),
        self_calibration=rows,
        leak=leak,
    )


def _subject() -> m.Subject:
    day = NS_PER_DAY
    return m.Subject(
        set_name="20 US stocks 1990 to 2022",
        source="embedded sample",
        asset_classes=("stock",),
        frame="1d",
        calendar="XNYS",
        price_basis="total_return",
        universe_basis="hindsight",
        instruments=20,
        bars=166_260,
        first_end=7_306 * day,
        last_end=19_354 * day,
        judged_from=8_404 * day,
        decisions=1_512,
        folds=15,
        horizons=(1, 5),
        decision_horizon=5,
        strategy="foresail/rank_expected_return@1",
        strategy_text="Every five sessions, the four names with the highest expected return after cost are held.",
        forecaster="quantile_trees",
        forecaster_text="Forecasts come from boosted trees on 30 scale-free features, calibrated walk-forward.",
        capital=100_000.0,
        currency="USD",
        facts=(("Fills", "at the next close: the set has closes only"),),
        limits=(
            "The names were chosen afterwards, so no result can count as evidence.",
            "Borrow: 0.5 % a year, assumed.",
            "Risk ladder, value at risk and breakers: off, they do not exist yet.",
        ),
    )


def full_report(**change: object) -> m.ReportInput:
    per_instrument = tuple(
        m.InstrumentRow(
            f"stock.US.{n}",
            n,
            SECTORS[i % 6],
            40 + i,
            0.48 + 0.01 * i,
            0.002 - 0.0004 * i,
            0.5 + 0.002 * i,
            4200 - 640.5 * i,
        )
        for i, n in enumerate((*NAMES, "PG", "T", "UTX", "WMT", "XOM", "CAT"))
    )
    quality = QualityReport(
        166_300,
        166_260,
        166_400,
        (QuarantinedRow("sample.csv", 31, "close", "DATA-52", "price is not positive", "AAPL,1991-02-03,-1"),),
        collapsed=3,
        gaps=140,
        flags=tuple(
            QualityFlag(f"stock.US.{NAMES[i % 16]}", (9000 + 40 * i) * NS_PER_DAY, "DATA-55", "jump of 31 % in one bar")
            for i in range(70)
        ),
        blocked=(("stock.US.GE", 12_000 * NS_PER_DAY),),
        notes=("Closes only: no open, high, low.",),
    )
    parts: dict = {
        "title": "Foresail demo: 20 US stocks",
        "run_id": "5b1f0c9e77a2",
        "version": "0.1.0",
        "report_path": "runs/demo/report.html",
        "verdict": Verdict(
            VerdictWord.NO_EVIDENCE,
            (
                "After costs it earned 0.8 % a year less than 1/N of the same names, interval -3.1 % to 1.4 %.",
                "At twice the cost the difference is -3.3 % a year, interval -5.7 % to -0.9 %.",
                "The names were chosen afterwards: even a good result could not have been judged.",
                "The record of 30 years could have shown a Sharpe ratio of 0.46.",
            ),
        ),
        "subject": _subject(),
        "repeat": m.Repeat(
            "foresail demo --seed 7",
            "foresail verify runs/demo",
            (("Inputs", "9f2c" * 16), ("Code", "01ab" * 16), ("Settings", "77de" * 16)),
            7,
        ),
        "equity": _equity(),
        "trading": m.Trading(902, 0.512, 11.4, 412.5, 389.2, 1.08, 0.31, per_instrument),
        "costs": m.Costs(
            (
                m.CostRow(
                    "Commission and regulatory fees",
                    3_120.55,
                    0.0004,
                    "dated schedule from 2008; before it, the oldest",
                ),
                m.CostRow("Half-spread and slippage", 41_322.9, 0.0061, "5 basis points a side, assumed"),
                m.CostRow("Borrow", 0.0, 0.0, "no short positions"),
            ),
            12.4,
            ("Before 2008-01-01 the oldest fee schedule is used.",),
        ),
        "honesty": _honesty(),
        "calibration": _calibration(),
        "slices": _slices(),
        "signals": _signals(),
        "model": m.ModelCard(
            "quantile_trees",
            "1",
            (("Trees", "at most 200, early stopping on the newest 15 %"), ("Quantiles fitted", "P10, P50, P90")),
            tuple((f"feature_{i}", 0.2 * 0.8**i) for i in range(14)),
            7_306 * NS_PER_DAY,
            18_990 * NS_PER_DAY,
            7,
            ("Daily bars of liquid stocks only.",),
        ),
        "quality": quality,
        "next_steps": (
            ("foresail run --bars PATH", "the same on your own data"),
            ("foresail leaks FILE", "hunt leaks in a strategy"),
        ),
    }
    return m.ReportInput(**(parts | change))


@pytest.fixture(scope="session")
def report() -> m.ReportInput:
    return full_report()
