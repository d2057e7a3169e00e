"""Every block of the report: filled from the run, equal to the metrics, or absent with a reason."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from foresail.core.clock import NS_PER_DAY
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.runs import Interval
from foresail.measures.returns import simple_returns
from foresail.reporting.html import render_report
from foresail.reporting.model import Absent, ReportInput
from foresail.reporting.summary import text_summary
from foresail.service import report_slices
from foresail.service.finished import Finished
from foresail.service.report_figures import ConfidenceFilter
from foresail.service.report_input import report_input
from foresail.service.report_money import Rates, cost_figures, profit_by_instrument, trade_rates
from foresail.service.report_signals import filter_text
from foresail.service.report_slices import slice_groups, vix_state, volatility_state
from foresail.service.results import metrics

BLOCKS = ("equity", "trading", "costs", "honesty", "calibration", "slices", "signals", "model", "quality")


@pytest.fixture(scope="module")
def told(finished: Finished) -> ReportInput:
    return report_input(finished)


def with_data(finished: Finished, **change: object) -> Finished:
    data = replace(finished.result.data, **change)  # type: ignore[arg-type]
    return replace(finished, result=replace(finished.result, data=data))


def with_set(finished: Finished, **change: object) -> Finished:
    return with_data(finished, bar_set=replace(finished.result.data.bar_set, **change))  # type: ignore[arg-type]


def with_book(finished: Finished, **change: object) -> Finished:
    book = replace(finished.result.backtest, **change)  # type: ignore[arg-type]
    return replace(finished, result=replace(finished.result, backtest=book))


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_every_block_is_filled(told: ReportInput) -> None:
    assert [name for name in BLOCKS if isinstance(getattr(told, name), Absent)] == []


def test_the_page_tells_the_verdict_and_the_figures(told: ReportInput) -> None:
    page = render_report(told)
    assert "Simulated &lt;market&gt;" in page
    text = text_of(page)
    assert told.verdict.word.value in text
    for wanted in (
        "1/N, fully invested",
        "no change",
        "By sector",
        "VIX (RGM-01)",
        "foresail verify runs/small",
        "passed",
    ):
        assert wanted in text
    assert "nan" not in re.findall(r"\bnan\b", text)
    assert not re.search(r"\bNone\b|\binf\b", text)


def test_the_last_screen_tells_the_same(told: ReportInput) -> None:
    lines = text_summary(told)
    assert f"VERDICT: {told.verdict.word.value.upper()}" in lines
    assert any(line.startswith("Top signals of") for line in lines)
    assert any("runs/small/report.html" in line for line in lines)


def test_report_and_metrics_show_one_set_of_figures(finished: Finished, told: ReportInput) -> None:
    document = metrics(finished)
    for row in told.equity.performance:
        other = document.get(row.key) or document["benchmarks"][row.key]
        assert (row.total_return, row.max_drawdown) == (other["total_return"], other["max_drawdown"])
        assert row.sharpe.value == pytest.approx(other["sharpe"])
    assert [s.key for s in told.equity.series] == ["net", "gross", "net_2x", "one_over_n", "index", "trend"]
    assert told.equity.excess.low == document["excess"]["net"]["low"]
    assert told.equity.excess == Interval(**finished.verdict.figures["difference_net"])
    assert sum(row.money for row in told.costs.rows) == pytest.approx(document["costs"]["total"])
    assert len(told.calibration.coverage) == len(document["coverage"]["by_fold"])


def test_instruments_add_up_to_the_closed_trades(finished: Finished, told: ReportInput) -> None:
    rows = told.trading.per_instrument
    closed = [t for t in finished.result.backtest.trades if t.closed_at is not None]
    assert sum(row.trades for row in rows) == told.trading.num_trades == len(closed)
    assert sum(row.net_profit for row in rows) == pytest.approx(float(sum(t.net_profit for t in closed)))
    assert [row.net_profit for row in rows] == sorted((row.net_profit for row in rows), reverse=True)
    block, step = finished.result.walk.block, 1
    middle = block.values[:, :, 0, step, 3]
    truth = finished.result.prepared.targets.values[:, block.position, 0, step]
    for row in rows:
        i = block.instruments.index(row.instrument)
        pairs = [(m, x) for m, x in zip(middle[i], truth[i], strict=True) if math.isfinite(m * x) and m * x != 0]
        assert row.accuracy == pytest.approx(np.mean([m * x > 0 for m, x in pairs]))


def test_profit_by_instrument_adds_up_to_equity_at_every_bar(finished: Finished) -> None:
    profit = profit_by_instrument(finished.result)
    assert profit.shape == (20, len(finished.comparison.net))
    assert np.abs(profit.sum(axis=0)[1:] - np.diff(finished.comparison.net)).max() < 1e-6


def test_slices_cut_the_record_into_parts_that_add_up(finished: Finished, told: ReportInput) -> None:
    groups = {group.title: group for group in told.slices}
    returns = simple_returns(finished.comparison.net)
    excess = returns - simple_returns(finished.comparison.one_over_n)
    years = groups["By year"].rows
    assert sum(row.count for row in years) == len(excess)
    mean = sum(row.value.value * row.count for row in years) / len(excess)
    assert mean == pytest.approx(excess.mean() * 252)
    assert sum(r.value.value for r in groups["By sector"].rows) == pytest.approx(returns.mean() * 252, abs=1e-9)
    state = np.array(vix_state(finished.result)[finished.comparison.first : -1])
    for row in groups["By regime: VIX (RGM-01)"].rows:
        assert row.count == int((state == row.label).sum())
        assert row.value.value == pytest.approx(excess[state == row.label].mean() * 252)
    state = np.array(volatility_state(finished.result)[finished.comparison.first : -1])
    found = groups["By regime: volatility of the set (RGM-02)"].rows
    assert sum(row.count for row in found) == len(excess)
    for row in found:
        assert row.value.value == pytest.approx(excess[state == row.label].mean() * 252)


def test_short_parts_have_no_interval_and_the_shortest_no_figure(finished: Finished) -> None:
    years = slice_groups(finished)[0].rows
    assert all(math.isfinite(row.value.low) == (row.count >= 60) for row in years)
    few, some = (report_slices._yearly(finished.result, np.full(n, 0.01)) for n in (19, 20))
    assert math.isnan(few.value)
    assert (some.value, math.isnan(some.low)) == (pytest.approx(2.52), True)


def test_vix_regimes_follow_their_bounds_and_go_stale(finished: Finished) -> None:
    bars = finished.result.data.bars
    values = np.resize([14.99, 15.0, 20.0, 29.99, 30.0, np.nan], 700)
    result = with_data(finished, reference={"vix": (bars.available_at[:700], values)}).result
    state = vix_state(result)
    assert state[:6] == [
        "< 15, complacent",
        "15 to 20, normal",
        "20 to 30, fear",
        "20 to 30, fear",
        "30 or more, panic",
        "",
    ]
    gone = int(np.searchsorted(bars.available_at, bars.available_at[699] + 10 * NS_PER_DAY, side="right"))
    assert values[699] == 29.99
    assert set(state[700:gone]) == {"20 to 30, fear"}
    assert set(state[gone:]) == {""}
    assert vix_state(with_data(finished, reference={}).result) == [""] * len(state)


def test_volatility_regimes_know_no_later_bar(finished: Finished) -> None:
    data = finished.result.data
    whole = volatility_state(finished.result)
    values = data.bars.values.copy()
    values[:, 600:, :4] *= math.exp(2.0)
    assert whole[599] == "calm"
    changed = volatility_state(with_data(finished, bars=replace(data.bars, values=values)).result)
    assert whole[:600] == changed[:600]
    assert changed[600] == "volatile"
    assert set(whole[:250]) == {""}
    assert set(whole[250:]) == {"calm", "volatile"}


def test_newest_signals_carry_size_stop_and_reasons(finished: Finished, told: ReportInput) -> None:
    book, rows = finished.result.backtest, told.signals.rows
    newest = max(s.decided_at for s in book.signals)
    assert told.signals.decided_at == newest
    assert [row.rank for row in rows] == sorted(row.rank for row in rows)
    held = {name: w for (at, name), w in book.weights.items() if at == newest and w}
    assert {row.instrument: row.weight for row in rows if math.isfinite(row.weight)} == held
    at = int(np.flatnonzero(finished.result.data.bars.available_at == newest)[0])
    for row in rows:
        assert row.reasons
        if math.isfinite(row.weight):
            assert row.traded
            assert row.money == pytest.approx(row.weight * book.net[at])
            assert row.stop < row.entry


def test_the_filter_text_says_how_many_passed_and_what_they_earned() -> None:
    some = ConfidenceFilter(0.7, 2_000, 44, 38, 40, Interval(-0.0075, -0.034, 0.019), 0.59)
    text = filter_text(some).replace("\u00a0", " ")
    assert "44 of 2,000 signals (2.2 %) had a confidence of 0.70 or more, 38 of them for a rise" in text
    assert "the 40 with a known outcome earned −0.75 % each on average after a round trip" in text
    assert "95 % interval −3.40 % to +1.90 %; 59.0 % had the right sign" in text
    nothing = replace(some, passed=0, rising=0, resolved=0, earned=Interval(math.nan, math.nan, math.nan))
    assert filter_text(nothing).startswith("No signal of 2,000 had")
    assert "none of them has a known outcome" in filter_text(replace(some, resolved=0))


def test_the_fan_is_the_forecast_of_the_best_name(finished: Finished, told: ReportInput) -> None:
    fan, block = told.calibration.fan, finished.result.walk.block
    best = min(
        (s for s in finished.result.backtest.signals if s.decided_at == told.signals.decided_at), key=lambda s: s.rank
    )
    i, p = block.instruments.index(best.instrument), int(np.flatnonzero(block.issued_at == best.decided_at)[0])
    assert fan.history[-1] == best.entry_price
    assert np.array_equal(fan.quantiles, best.entry_price * np.exp(block.values[i, p, 0]))


def test_limits_name_what_is_off(finished: Finished) -> None:
    said = report_input(with_book(finished, ended=(("a", 700, 10.0), ("b", 710, 10.0)))).subject.limits
    text = " ".join(said)
    for wanted in ("SIG-04", "SIG-07", "no sentiment", "RISK-14", "RISK-31", "SIZE-10", "Assumed: 0.5 %", "SEC fee"):
        assert wanted in text
    assert "2 listings ended while held" in text
    assert "A note on reading." in said
    assert "TIER" not in text


def test_limits_change_with_the_set(finished: Finished) -> None:
    changed = with_set(finished, universe_basis="hindsight", price_basis=PriceBasis.TOTAL_RETURN)
    bars = finished.result.data.bars
    values = bars.values.copy()
    values[:, :, :3] = np.nan
    said = report_input(with_data(changed, bars=replace(bars, values=values))).subject
    text = " ".join(said.limits)
    assert said.limits[0] == "The names were chosen afterwards, so no result on them can count as evidence."
    assert "Price tiers (TIER-01 to 05): not available: price basis total_return." in said.limits
    assert "There are closes only" in text
    assert dict(said.facts)["Fills"].startswith("at the next close")
    unknown = report_input(with_set(finished, universe_basis="unknown")).subject.limits[0]
    assert unknown.startswith("It is not known when the names were chosen")


def test_what_is_not_there_is_absent_with_a_reason(finished: Finished) -> None:
    bare = with_book(replace(finished, panels=None), signals=(), trades=())
    told = report_input(bare)
    assert isinstance(told.signals, Absent)
    assert isinstance(told.trading, Absent)
    assert isinstance(told.honesty.self_calibration, Absent)
    assert isinstance(told.calibration.fan, Absent)
    assert "No trade was closed." in text_of(render_report(told))
    assert text_summary(told)


def test_a_plug_in_is_named(finished: Finished) -> None:
    subject = report_input(replace(finished, plugin="mine/idea@2")).subject
    assert (subject.strategy, subject.strategy_text) == ("mine/idea@2", "The plug-in mine/idea@2 decides.")


def test_the_model_card_covers_all_folds(finished: Finished, told: ReportInput) -> None:
    folds, ends = finished.result.walk.folds, finished.result.data.bars.end
    assert told.model.version == folds[-1].model
    assert (told.model.data_from, told.model.data_to) == (int(ends[0]), int(ends[folds[-1].fold.test_from - 1]))
    shares = dict(told.model.importance)
    expected = np.mean([dict(f.report.importance).get("rsi_14", 0.0) for f in folds])
    assert shares["rsi_14"] == pytest.approx(expected)


def foreign(fills: tuple = (), trades: tuple = ()) -> SimpleNamespace:
    """Two pairs over four days; the yen pair is quoted in a currency that is not the account's."""
    pairs = [("fx.EUR-USD", "USD", [1.1, 1.1, 1.2, 1.2]), ("fx.USD-JPY", "JPY", [100.0, math.nan, 125.0, 200.0])]
    known = tuple(Instrument(name, name[3:], AssetClass.FOREX, currency=c) for name, c, _ in pairs)  # type: ignore[arg-type]
    bars = SimpleNamespace(
        instruments=tuple(one.id for one in known),
        end=np.arange(1, 5) * NS_PER_DAY,
        field=lambda _: np.array([values for _, _, values in pairs]),
    )
    bar_set = SimpleNamespace(instruments=known)
    book = SimpleNamespace(net=np.full(4, 1000.0), first=0, bars_per_year=252.0, fills=fills, trades=trades, journal=())
    return SimpleNamespace(
        data=SimpleNamespace(bars=bars, bar_set=bar_set), settings=SimpleNamespace(currency="USD"), backtest=book
    )


def test_rates_are_those_of_the_last_closed_bar() -> None:
    rates = Rates(foreign())  # type: ignore[arg-type]
    day = NS_PER_DAY
    assert rates.at("fx.EUR-USD", 2 * day) == 1  # type: ignore[arg-type]
    found = [rates.at("fx.USD-JPY", at) for at in (day, 2 * day, 3 * day - 1, 3 * day, 9 * day)]  # type: ignore[arg-type]
    assert found == [Decimal("0.01"), Decimal("0.01"), Decimal("0.01"), Decimal("0.008"), Decimal("0.005")]
    assert rates.at(None, day) == 1


def test_foreign_costs_and_trades_are_told_in_the_account_currency() -> None:
    def fill(name: str, fee: str, at: int) -> SimpleNamespace:
        return SimpleNamespace(
            instrument=name,
            fee=Decimal(fee),
            slippage=Decimal(fee),
            quantity=Decimal(1),
            price=Decimal(100),
            filled_at=at,
        )

    trade = SimpleNamespace(instrument="fx.USD-JPY", closed_at=3 * NS_PER_DAY, gross_profit=Decimal(500))
    book = foreign((fill("fx.EUR-USD", "2", NS_PER_DAY), fill("fx.USD-JPY", "300", NS_PER_DAY)), (trade,))
    assert trade_rates(book) == [Decimal("0.008")]  # type: ignore[arg-type]
    costs = cost_figures(book)  # type: ignore[arg-type]
    assert {kind.key: kind.money for kind in costs.kinds} == {"fees": 5.0, "slippage": 5.0}
    assert costs.commission_impact == pytest.approx(5.0 / 4.0)
    years = 3 / 252
    assert costs.turnover == pytest.approx((100.0 + 1.0) / 2 / years / 1000.0)
