"""Schemas of a run folder: every table column and document key, with type, unit and meaning.

The writer refuses a table that differs from its schema, and ``docs/reference/run-folder.md`` is printed from these
rows, so the page cannot drift from the files. A change of meaning, type or unit raises the table's version; a column
added at the end does not.

Times are int64 nanoseconds since 1970-01-01 UTC. Returns and weights are fractions. Missing is null, never 0. Exact
decimals come twice: ``x`` as double to compute with, ``x_exact`` as the text that the ledger booked.
"""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.honesty_document import HONESTY_KEYS
from foresail.domain.model_card import MODEL_CARD_KEYS

__all__ = [
    "DOCUMENTS",
    "RUN_FORMAT",
    "RUN_VERSION",
    "TABLES",
    "Column",
    "Document",
    "Key",
    "TableSchema",
]

RUN_FORMAT = "foresail-run"
RUN_VERSION = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``type`` is an Arrow type (string, int64, double, bool)."""

    name: str
    type: str
    unit: str
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table of a run folder.

    Attributes
    ----------
    file : name in the folder
    key : columns by which the rows are sorted
    """

    name: str
    file: str
    version: int
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a JSON document; ``a.b`` is nested, ``a[]`` a list."""

    path: str
    type: str
    unit: str
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One other file of a run folder; ``promised``: byte equal for the same inputs, code, settings and seed."""

    file: str
    promised: bool
    meaning: str
    keys: tuple[Key, ...] = ()


_NS = "ns UTC"
_QUOTE = "quote currency"


def _text(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, "string", "", meaning, required)


def _time(name: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, "int64", _NS, meaning, required)


def _number(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "double", unit, meaning)


def _count(name: str, unit: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, "int64", unit, meaning, required)


def _exact(name: str, unit: str, meaning: str, *, required: bool = False) -> tuple[Column, Column]:
    return (
        Column(name, "double", unit, meaning, required),
        Column(f"{name}_exact", "string", unit, f"the same as exact decimal text: {meaning}", required),
    )


_INSTRUMENT = _text("instrument", "permanent instrument id", required=True)

_DECISIONS = TableSchema(
    "decisions",
    "decisions.parquet",
    1,
    "Every ranked signal of every decision, traded or not.",
    ("decided_at", "rank", "instrument"),
    (
        _INSTRUMENT,
        _time("decided_at", "nominal decision time"),
        _count("rank", "1 = best", "place in the ranking of this decision"),
        _text("kind", "strong_buy, buy, hold, sell or strong_sell (SIG-01)", required=True),
        _text("side", "buy or sell; null where the signal asks for nothing"),
        _text("horizon", "day_trade, swing_trade or position (SIG-02)"),
        _count("horizon_bars", "bars", "length of the forecast that was traded"),
        _number("expected_return", "log return", "expected move over the horizon, before cost"),
        _number("p10", "log return", "10 % quantile of the close over the horizon"),
        _number("p50", "log return", "median of the close over the horizon"),
        _number("p90", "log return", "90 % quantile of the close over the horizon"),
        _number("confidence", "probability", "calibrated probability that the move has the predicted sign"),
        _number("cost", "fraction of value", "expected round-trip cost"),
        _number("weight_target", "fraction of equity", "signed size after caps; null where nothing is to be held"),
        _number("entry", _QUOTE, "price at the decision, in the set's price basis"),
        _number("stop", _QUOTE, "stop level"),
        _number("target", _QUOTE, "target level"),
        Column("traded", "bool", "", "whether an order followed", required=True),
        Column("top", "bool", "", "whether it passes the confidence filter of the top list"),
        _text("rule", "requirement that decided, for example SIG-15"),
        _text("reasons", "plain sentences, the decisive one first, separated by line feeds"),
        _text("strategy", "strategy id and version"),
        _text("model", "model version that forecast"),
        _text("features_hash", "hash of schema version, ordered names and the input row of the forecast (FEAT-16)"),
    ),
)

_FORECASTS = TableSchema(
    "forecasts",
    "forecasts.parquet",
    1,
    "Every out-of-sample forecast with what came true.",
    ("issued_at", "instrument", "target", "horizon"),
    (
        _INSTRUMENT,
        _time("issued_at", "when the forecast was issued"),
        _text("target", "close, high or low", required=True),
        _count("horizon", "bars", "how far ahead"),
        *(
            _number(f"q{level:02d}", "log return", f"{level} % quantile against the last close")
            for level in (2, 10, 25, 50, 75, 90, 98)
        ),
        _text("model", "model version that forecast", required=True),
        _number("realised", "log return", "what came true; null while unknown"),
        _time("label_end", "end of the bar in which the forecast resolves; null while unknown", required=False),
    ),
)

_ORDERS = TableSchema(
    "orders",
    "orders.parquet",
    1,
    "Every order that left the planner, with the ruling of the risk gate.",
    ("decided_at", "instrument", "order_id"),
    (
        _text("order_id", "32 hexadecimal digits, a function of the decision", required=True),
        _INSTRUMENT,
        _text("side", "buy or sell", required=True),
        _text("kind", "market, limit or stop", required=True),
        _text("reason", "entry, rebalance, exit, stop, target, time or delisted", required=True),
        _time("decided_at", "nominal decision time"),
        *_exact("quantity", "units", "quantity ordered, positive", required=True),
        *_exact("limit_price", _QUOTE, "limit"),
        *_exact("stop_price", _QUOTE, "stop"),
        *_exact("target_price", _QUOTE, "target attached"),
        *_exact("allowed", "units", "quantity that the risk gate allowed; 0 = refused, null = not reviewed"),
        _text("ruling", "strictest rule and its sentence"),
    ),
)

_FILLS = TableSchema(
    "fills",
    "fills.parquet",
    1,
    "Every execution. Equity can be recomputed from these rows, the bars and the dividends, to the cent.",
    ("filled_at", "instrument", "order_id"),
    (
        _text("order_id", "order that was filled", required=True),
        _INSTRUMENT,
        _text("side", "buy or sell", required=True),
        *_exact("quantity", "units", "units filled, positive", required=True),
        *_exact("price", _QUOTE, "price paid or received, slippage and half-spread included", required=True),
        *_exact("reference_price", _QUOTE, "open, close or stop level before slippage and spread", required=True),
        *_exact("fee", _QUOTE, "commission and regulatory fees, >= 0", required=True),
        *_exact("slippage", _QUOTE, "money lost to slippage and half-spread, >= 0, already in price", required=True),
        _time("filled_at", "time of the fill"),
        _text("reason", "entry, rebalance, exit, stop, target, time or delisted", required=True),
    ),
)

_EQUITY = TableSchema(
    "equity",
    "equity.parquet",
    1,
    "Equity at every bar, with the comparators of the same capital.",
    ("end",),
    (
        _time("end", "end of the bar"),
        _number("gross", "account currency", "equity had there been no costs"),
        _number("net", "account currency", "equity after all costs: the result"),
        _number("net_2x", "account currency", "the same orders priced at twice the cost"),
        _number("cash", "account currency", "cash of the net account"),
        _number("exposure", "fraction of equity", "sum of absolute position values over equity"),
        _number("one_over_n", "account currency", "equal weights of the same names; null = not available"),
        _number("index", "account currency", "the index of the set; null = not available"),
        _number("trend", "account currency", "volatility-scaled trend on the same names; null = not available"),
    ),
)

_FOLDS = TableSchema(
    "folds",
    "folds.parquet",
    1,
    "What each refit was trained on and how well it forecast its own test block.",
    ("fold", "target", "horizon"),
    (
        _count("fold", "0 = first", "number of the refit"),
        _text("target", "close, high or low", required=True),
        _count("horizon", "bars", "how far ahead"),
        _text("model", "model version", required=True),
        _time("train_from", "end of the first training bar"),
        _time("train_to", "end of the last training bar"),
        _time("test_from", "end of the first bar that this model served"),
        _time("test_to", "end of the last bar that this model served"),
        _count("train_rows", "rows", "rows that the model was fitted on"),
        _count("validation_rows", "rows", "rows of early stopping"),
        _count("calibration_rows", "rows", "rows of the conformal scores"),
        _count("test_rows", "rows", "forecasts whose outcome is known"),
        _number("coverage", "fraction", "share of outcomes within P10 and P90; 0.8 is nominal"),
        _number("width", "log return", "mean distance from P10 to P90"),
        _number("pinball", "log return", "mean pinball loss over the levels"),
        _number("rank_ic", "correlation", "mean daily rank correlation of forecast and outcome"),
        _text("notes", "for example early-stopping rounds"),
    ),
)

_TRADES = TableSchema(
    "trades",
    "trades.parquet",
    1,
    "Round trips: from flat to flat in one instrument.",
    ("opened_at", "instrument"),
    (
        _INSTRUMENT,
        _text("side", "buy (long) or sell (short)", required=True),
        _time("opened_at", "first fill"),
        _time("closed_at", "last fill; null = still open at the end", required=False),
        *_exact("quantity", "units", "largest quantity held, positive", required=True),
        *_exact("entry_price", _QUOTE, "average price of the opening fills", required=True),
        *_exact("exit_price", _QUOTE, "average price of the closing fills, or the last close where still open"),
        *_exact("gross_profit", "account currency", "profit before costs", required=True),
        *_exact("cost", "account currency", "fees, slippage, borrow and funding", required=True),
        *_exact("net_profit", "account currency", "profit after costs", required=True),
        _number("simple_return", "fraction", "net profit over the money put in"),
        _count("hold_bars", "bars", "bars from the first to the last fill"),
        _text("exit_reason", "exit, stop, target, time, delisted; null = still open"),
    ),
)

_QUALITY = TableSchema(
    "quality",
    "quality.parquet",
    1,
    "What the data gate noticed: flags that were kept, rows that were set aside, instruments that were blocked.",
    ("kind", "instrument", "end", "file", "row", "column", "rule"),
    (
        _text("kind", "flag, quarantined or blocked", required=True),
        _text("instrument", "permanent instrument id; null where the row named none"),
        _time("end", "end of the bar; null where unknown", required=False),
        _text("rule", "requirement that noticed, for example DATA-52", required=True),
        _text("text", "what was noticed", required=True),
        _text("file", "source file of a quarantined row"),
        _count("row", "1-based, header not counted", "row of a quarantined row in its file", required=False),
        _text("column", "column that broke the rule"),
        _text("original", "the row as it came in"),
    ),
)

_IMPORTANCE = TableSchema(
    "importance",
    "importance.parquet",
    1,
    "What the models leaned on.",
    ("fold", "place", "feature"),
    (
        _count("fold", "0 = first", "number of the refit"),
        _text("model", "model version", required=True),
        _count("place", "1 = most", "place by share"),
        _text("feature", "feature name", required=True),
        _number("share", "fraction of total gain", "share of the loss reduction"),
    ),
)

TABLES: dict[str, TableSchema] = {
    t.name: t
    for t in (
        _DECISIONS,
        _FORECASTS,
        _ORDERS,
        _FILLS,
        _TRADES,
        _EQUITY,
        _FOLDS,
        _IMPORTANCE,
        _QUALITY,
    )
}

_PERFORMANCE = (
    "total_return, annual_return, volatility (annualised), sharpe, max_drawdown, and for trades win_rate, num_trades, "
    "avg_hold_time (bars), average_win, average_loss, profit_factor (REP-01)"
)

DOCUMENTS: tuple[Document, ...] = (
    Document(
        "run.json",
        promised=True,
        meaning="The record from which the run can be repeated: canonical JSON, hashed.",
        keys=(
            Key("format", "integer", "", "version of this record"),
            Key("command", "string", "", "the use case: run or demo", required=True),
            Key("inputs", "object", "", "name and SHA-256 of everything that was read", required=True),
            Key("code", "string", "SHA-256", "hash of the installed package sources", required=True),
            Key("settings", "object", "", "all settings, resolved", required=True),
            Key("seed", "integer", "", "seed of every random draw", required=True),
            Key("plugins", "list", "", "id and source hash of every plug-in used"),
        ),
    ),
    Document(
        "env.json",
        promised=False,
        meaning="Machine, versions and times. It differs between machines.",
        keys=(
            Key("foresail", "string", "", "version"),
            Key("python", "string", "", "version"),
            Key("platform", "string", "", "operating system and processor"),
            Key("packages", "object", "", "versions of the libraries used"),
            Key("bars", "string", "", "where the bars were read: path, name of an imported set, or embedded sample"),
            Key("plugin", "string", "", "path of the plug-in; null without one"),
            Key("finished_at", "string", "ISO 8601 UTC", "wall clock at the end"),
            Key("elapsed_s", "object", "s", "all: duration of the whole run"),
        ),
    ),
    Document(
        "honesty.json",
        promised=False,
        meaning="Trials and all that depends on them: it changes as the registry grows.",
        keys=tuple(Key(*row, required=row[0] == "trials") for row in HONESTY_KEYS),
    ),
    Document(
        "metrics.json",
        promised=True,
        meaning="The figures of the report.",
        keys=(
            Key("gross", "object", "fractions", f"before costs: {_PERFORMANCE}", required=True),
            Key("net", "object", "fractions", "after costs, the same keys", required=True),
            Key("net_2x", "object", "fractions", "the same orders at twice the cost", required=True),
            Key("benchmarks", "object", "fractions", "one_over_n, index, trend: the same keys", required=True),
            Key(
                "verdict.word", "string", "", "evidence, no evidence, cannot tell, cannot judge, invalid", required=True
            ),
            Key("verdict.reasons[]", "string", "", "most decisive first", required=True),
            Key("verdict.figures", "object", "", "what the rules looked at; MET-26 targets are shown, not used"),
            Key("coverage", "object", "fractions", "by fold and horizon; nominal 0.8", required=True),
            Key("canaries[]", "object", "", "name, passed, judged, text, figures", required=True),
            Key(
                "self_calibration[]", "object", "", "demo only: planted coefficient, panels, evidence, expected, passed"
            ),
            Key("benchmarks_absent", "object", "", "comparator -> why it is not there"),
            Key(
                "excess",
                "object",
                "fractions a year",
                "net and net_2x minus 1/N of the same names at exposure_of_one_over_n, with 95 % intervals",
            ),
            Key(
                "costs",
                "object",
                "quote currency, fractions",
                "by_kind (money, annual), total, turnover a year, expected_per_side",
            ),
            Key(
                "ended_listings",
                "object",
                "fractions",
                "listings that ended, and the total return with them 30 % below their last print",
            ),
            Key(
                "left_before_jump",
                "object",
                "count, fraction",
                "names held when prices jumped without an explanation, and the result with the jumps booked",
            ),
            Key(
                "confidence_filter",
                "object",
                "fractions",
                "signals at or above the threshold: how many, and what they earned",
            ),
            Key(
                "forecasts[]",
                "object",
                "log return, fractions",
                "by target and horizon: coverage, pinball by level, mae, hit_rate, rank_ic and their kin",
            ),
            Key(
                "baselines[]",
                "object",
                "log return, fractions",
                "the same of the baselines on the same rows, close only",
            ),
            Key("features_used[]", "string", "", "names, in the order of the matrix"),
            Key("features_absent", "object", "", "feature -> why this set cannot give it"),
            Key("instruments", "integer", "", "instruments of the set"),
            Key("decisions", "integer", "", "decisions taken"),
            Key("first_judged", "integer", "ns UTC", "decision from which everything is judged"),
            Key("last_judged", "integer", "ns UTC", "newest bar"),
            Key("price_basis", "string", "", "raw, split_adjusted, total_return or unknown"),
            Key("universe_basis", "string", "", "point_in_time, hindsight or unknown"),
        ),
    ),
    Document(
        "model.json",
        promised=False,
        meaning="The model card (EVAL-07, REP-05). It holds the number of trials, which grows with the registry.",
        keys=tuple(Key(*row, required=row[0] in ("format", "version")) for row in MODEL_CARD_KEYS),
    ),
    Document("log.jsonl", promised=False, meaning="One JSON object a line: at, event, and the event's own fields."),
    Document("report.html", promised=False, meaning="The report: one file, opens offline."),
    Document(
        "complete",
        promised=False,
        meaning="Written last: size and SHA-256 of every other file. A folder without it is never read as a result.",
        keys=(
            Key("format", "string", "", RUN_FORMAT, required=True),
            Key("version", "integer", "", "version of this layout", required=True),
            Key("files", "object", "", "file name -> bytes, sha256", required=True),
            Key("promised", "string", "SHA-256", "one hash over all promised files", required=True),
        ),
    ),
)
