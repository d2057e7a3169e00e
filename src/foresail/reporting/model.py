"""What a report is made of: plain frozen data, filled by the use case that ran, drawn by ``reporting.html``.

Conventions: times are int64 ns UTC, returns and weights fractions, money float in the account currency, Sharpe ratio
and volatility annualised, NaN = absent (printed as a dash). A block that could not be computed is ``Absent`` with the
reason, which the report prints in its place: nothing is left out in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from foresail.core.arrays import FloatArray, TimeArray
from foresail.domain.quality import QualityReport
from foresail.domain.runs import CanaryResult, Interval, Verdict
from foresail.evaluation.forecast_scores import CalibrationReport
from foresail.evaluation.paired import PairedTest
from foresail.evaluation.slices import Slices
from foresail.reporting.inside_model import InsideBlock
from foresail.reporting.run_card import ModelCard

__all__ = [
    "NAN",
    "Absent",
    "BaselineRow",
    "Calibration",
    "CostRow",
    "Costs",
    "CoverageRow",
    "EquityBlock",
    "Fan",
    "ForecasterBlock",
    "HonestyBlock",
    "InstrumentRow",
    "LeakFinding",
    "Performance",
    "Repeat",
    "ReportInput",
    "SelfCalibrationRow",
    "Series",
    "SignalRow",
    "Signals",
    "SliceGroup",
    "SliceRow",
    "Subject",
    "Trading",
]

NAN = float("nan")  # an absent number


@dataclass(frozen=True, slots=True)
class Absent:
    """Stands for a block that was not computed; ``reason`` is a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What was tested.

    Attributes
    ----------
    frame, calendar : "1d", "XNYS"
    asset_classes : of stock, crypto, forex; decide which warnings are printed
    first_end, last_end : first and last bar of the set
    judged_from : first decision; everything reported lies after it
    strategy_text, forecaster_text : one plain sentence each
    facts : further (label, value) rows, in order
    limits : what was not evaluated, is assumed or is off, one sentence each
    """

    set_name: str
    source: str
    asset_classes: tuple[str, ...]
    frame: str
    calendar: str
    price_basis: str
    universe_basis: str
    instruments: int
    bars: int
    first_end: int
    last_end: int
    judged_from: int
    decisions: int
    folds: int
    horizons: tuple[int, ...]
    decision_horizon: int
    strategy: str
    strategy_text: str
    forecaster: str
    forecaster_text: str
    capital: float
    currency: str
    facts: tuple[tuple[str, str], ...] = ()
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of one equity curve; ``key`` is net, gross, net_2x, one_over_n, index or trend, ``label`` for readers.

    Attributes
    ----------
    sharpe : with its 95 % interval; low and high NaN where none was computed
    max_drawdown : positive fraction
    """

    key: str
    label: str
    total_return: float
    annual_return: float
    volatility: float
    sharpe: Interval
    max_drawdown: float


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One equity curve, (T,), account currency; NaN where it does not exist."""

    key: str
    label: str
    values: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class EquityBlock:
    """Equity of the strategy and of its comparators from the same capital.

    Attributes
    ----------
    end : (T,) bar ends from ``judged_from`` on
    series : "net" first, then what exists of gross, net_2x, one_over_n, index, trend
    performance : one row per series, in the same order; curves that are told but not drawn follow
    excess : annual return of net minus 1/N of the same names
    excess_2x : the same with both at twice the cost
    absent : comparators that are not there, as (label, reason)
    """

    end: TimeArray
    series: tuple[Series, ...]
    performance: tuple[Performance, ...]
    excess: Interval
    excess_2x: Interval
    absent: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """REP-01 per instrument; ``accuracy``: share of forecasts with the right sign, ``net_profit`` in currency."""

    instrument: str
    symbol: str
    sector: str
    trades: int
    win_rate: float
    average_return: float
    accuracy: float
    net_profit: float


@dataclass(frozen=True, slots=True)
class Trading:
    """REP-01 figures of the closed trades, after costs.

    Attributes
    ----------
    avg_hold_time : bars
    average_win, average_loss : currency; the loss is positive
    profit_factor : gross win over gross loss (ATTR-03)
    commission_impact : commissions and fees over gross profit before them, fraction
    per_instrument : in the order in which they are to be shown; the report shows the first and last ten
    """

    num_trades: int
    win_rate: float
    avg_hold_time: float
    average_win: float
    average_loss: float
    profit_factor: float
    commission_impact: float
    per_instrument: tuple[InstrumentRow, ...] = ()


@dataclass(frozen=True, slots=True)
class CostRow:
    """One kind of cost: ``money`` paid in all, ``annual`` as fraction of mean equity a year, ``basis`` how it is known.

    ``basis`` is, for example, "dated schedule from 2008", or "assumed: 0.5 % a year".
    """

    kind: str
    money: float
    annual: float
    basis: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading cost; ``turnover`` is money traded one way over mean equity, a year."""

    rows: tuple[CostRow, ...]
    turnover: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SelfCalibrationRow:
    """The engine on simulated panels: how often it said evidence.

    Attributes
    ----------
    information_coefficient : planted; 0 = nothing to find
    expected : what should happen, for example "at most 7 %"
    """

    label: str
    information_coefficient: float
    panels: int
    evidence: int
    expected: str
    passed: bool


@dataclass(frozen=True, slots=True)
class LeakFinding:
    """A strategy that was refused because it sees the future: where, and how good it would have looked.

    ``column`` is the bar column whose later values it uses.
    """

    file: str
    line: int
    column: str
    time: str
    text: str
    sharpe: float = NAN


@dataclass(frozen=True, slots=True)
class HonestyBlock:
    """How much of the result luck and selection explain.

    Attributes
    ----------
    deflated_sharpe, probabilistic_sharpe : probability
    min_track_record_years : NaN where no length would do
    smallest_detectable_sharpe : annualised
    probability_of_overfitting : NaN where not defined; ``overfitting_text`` says why
    """

    trials: int
    trials_are_complete: bool
    years: float
    deflated_sharpe: float
    probabilistic_sharpe: float
    min_track_record_years: float
    smallest_detectable_sharpe: float
    probability_of_overfitting: float
    overfitting_text: str
    canaries: tuple[CanaryResult, ...]
    notes: tuple[str, ...] = ()
    self_calibration: tuple[SelfCalibrationRow, ...] | Absent = field(
        default_factory=lambda: Absent("The self-calibration panel belongs to `foresail demo`.")
    )
    leak: LeakFinding | None = None


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Coverage of one fold and horizon: ``coverage`` with its interval, ``width`` mean P10 to P90, log return."""

    fold: str
    horizon: int
    coverage: Interval
    width: float
    forecasts: int


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One forecaster or baseline at one horizon; lower pinball and MAE are better; ``is_model`` marks the tested one.

    Attributes
    ----------
    rank_ic : mean daily rank correlation with its interval
    hit_rate : share of right signs
    """

    name: str
    horizon: int
    pinball: float
    mae: float
    rank_ic: Interval
    hit_rate: float
    is_model: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Fan:
    """The forecast of one name as price levels.

    Attributes
    ----------
    history_end, history : (T,) newest closes
    horizons : H, bars ahead, ascending
    levels : Q quantile levels, ascending and symmetric around 0.5, which is among them
    quantiles : (H, Q) price
    realised : (H,) what came true, NaN while unknown
    unit : "USD", for example
    """

    label: str
    unit: str
    history_end: TimeArray
    history: FloatArray
    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    quantiles: FloatArray
    realised: FloatArray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether the forecast ranges mean what they say.

    Attributes
    ----------
    nominal : the coverage that P10 to P90 promises
    left_out : sentences on forecasters that could not be compared with, for the last screen; the notes have them too
    """

    coverage: tuple[CoverageRow, ...]
    baselines: tuple[BaselineRow, ...]
    fan: Fan | Absent
    nominal: float = 0.8
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One part of the result; ``value`` with its interval (NaN where too short), ``count`` of what it rests on."""

    label: str
    value: Interval
    count: int


@dataclass(frozen=True, slots=True)
class SliceGroup:
    """The result cut in one way.

    Attributes
    ----------
    title : "By year", "By sector", "By regime"
    text : what the value is, for example "net return above 1/N, a year"
    count_label : what ``count`` counts, for example "bars"
    """

    title: str
    text: str
    count_label: str
    rows: tuple[SliceRow, ...] | Absent


@dataclass(frozen=True, slots=True, eq=False)
class ForecasterBlock:
    """The forecaster judged like any other.

    Attributes
    ----------
    tests : against each baseline, every horizon
    hurdle : the baseline with the lowest loss at ``horizon``, the one that decides; ``slices`` cut the gain over it
    """

    tests: tuple[PairedTest, ...]
    hurdle: str
    horizon: int
    calibration: CalibrationReport | None
    slices: tuple[Slices, ...]


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One of the newest signals, ready to be read.

    Attributes
    ----------
    kind : strong_buy, buy, hold, sell, strong_sell
    expected_return, p10, p90 : simple return over ``horizon_bars``
    weight : fraction of equity; NaN where it is not traded
    money : size in currency
    entry, stop, target : price levels; NaN where none
    reasons : plain sentences, the decisive one first
    """

    rank: int
    instrument: str
    symbol: str
    kind: str
    horizon_bars: int
    confidence: float
    expected_return: float
    p10: float
    p90: float
    cost: float
    weight: float
    money: float
    entry: float
    stop: float
    target: float
    reasons: tuple[str, ...]
    rule: str
    traded: bool


@dataclass(frozen=True, slots=True)
class Signals:
    """The newest ranked signals; ``filter_text`` says what the confidence filter let pass and what it earned."""

    decided_at: int
    rows: tuple[SignalRow, ...]
    filter_text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """How to get the same bytes again: ``hashes`` are (what, SHA-256)."""

    command: str
    verify_command: str
    hashes: tuple[tuple[str, str], ...]
    seed: int


def _not_given(what: str) -> Absent:
    return Absent(f"{what} was not computed in this run.")


@dataclass(frozen=True, slots=True, eq=False)
class ReportInput:
    """One report.

    Attributes
    ----------
    report_path, next_steps : for the last screen; the latter are (command, what it does)
    inside : of a network; None where the forecaster has no such thing, and the section is not there
    """

    title: str
    run_id: str
    version: str
    report_path: str
    verdict: Verdict
    subject: Subject
    repeat: Repeat
    equity: EquityBlock | Absent = field(default_factory=lambda: _not_given("The equity curve"))
    trading: Trading | Absent = field(default_factory=lambda: _not_given("The statistics of trades"))
    costs: Costs | Absent = field(default_factory=lambda: _not_given("The table of costs"))
    honesty: HonestyBlock | Absent = field(default_factory=lambda: _not_given("The honesty check"))
    calibration: Calibration | Absent = field(default_factory=lambda: _not_given("The calibration of forecasts"))
    forecaster: ForecasterBlock | Absent = field(default_factory=lambda: _not_given("The test of the forecaster"))
    slices: tuple[SliceGroup, ...] | Absent = field(default_factory=lambda: _not_given("The result by slices"))
    signals: Signals | Absent = field(default_factory=lambda: _not_given("The list of signals"))
    model: ModelCard | Absent = field(default_factory=lambda: _not_given("The model card"))
    quality: QualityReport | Absent = field(default_factory=lambda: _not_given("The quality report of the data"))
    next_steps: tuple[tuple[str, str], ...] = ()
    inside: InsideBlock | None = None
