"""What was tested, in words: the set, the strategy, and everything that is assumed, switched off or not evaluated."""

from __future__ import annotations

from collections.abc import Sequence

from foresail.domain.actions import DelistingRule
from foresail.domain.bars import BarSet
from foresail.domain.instruments import AssetClass
from foresail.domain.tiers import tier_unavailable
from foresail.engine.backtest import Backtest
from foresail.engine.parts import build_parts
from foresail.engine.tradable import absurd_bars
from foresail.execution.costs import CostModel
from foresail.reporting.figures import percent
from foresail.reporting.model import Subject
from foresail.risk.catalogue import inactive_rules
from foresail.service.finished import Finished
from foresail.signals.decision import NOT_EVALUATED, default_top_k

__all__ = ["cost_basis", "cost_notes", "decision_count", "subject_of"]

_FORECASTERS = {
    "quantile_trees": "Forecasts come from boosted trees for P10, P50 and P90 on scale-free features",
    "random_forest": "Forecasts come from a random forest for P10, P50 and P90 on scale-free features",
    "ridge": "Forecasts come from a ridge regression on scale-free features, with residual quantiles",
}
_MANY = 12  # names that a sentence lists before it counts


def subject_of(finished: Finished) -> Subject:
    """Return what was tested."""
    result = finished.result
    bars, bar_set, settings, book = result.data.bars, result.data.bar_set, result.settings, result.backtest
    signals = book.signals
    default = f"foresail/{settings.strategy}"
    return Subject(
        set_name=bar_set.name,
        source=bar_set.source,
        asset_classes=(bar_set.asset_class.value,),
        frame=bars.frame,
        calendar=bars.calendar,
        price_basis=bar_set.price_basis.value,
        universe_basis=bar_set.universe_basis,
        instruments=len(bars.instruments),
        bars=int(bars.present.sum()),
        first_end=int(bars.end[0]),
        last_end=int(bars.end[-1]),
        judged_from=_first_judged(finished),
        decisions=decision_count(book),
        folds=sum(fold.report is not None for fold in result.walk.folds),
        horizons=settings.horizons,
        decision_horizon=settings.decision_horizon,
        strategy=finished.plugin or (f"{default}@{signals[0].version}" if signals else default),
        strategy_text=_strategy_text(finished),
        forecaster=settings.forecaster,
        forecaster_text=_forecaster_text(finished),
        capital=float(settings.capital),
        currency=settings.currency,
        facts=_facts(finished),
        limits=_limits(finished),
    )


def decision_count(book: Backtest) -> int:
    """Return how many decisions left a trace: a signal, a target weight or an order."""
    told = {s.decided_at for s in book.signals} | {at for at, _ in book.weights}
    return len(told | {o.order.decided_at for o in book.orders})


def _strategy_text(finished: Finished) -> str:
    settings = finished.result.settings
    rhythm = "Every bar" if settings.decision_horizon == 1 else f"Every {settings.decision_horizon} bars"
    if finished.plugin:
        return f"The plug-in {finished.plugin} decides."
    count = settings.top_k or default_top_k(len(finished.result.data.bars.instruments))
    gate = "whose expected move exceeds the round-trip cost " if settings.cost_gate else ""
    return (
        f"{rhythm}, the names {gate}are ranked by expected return, and the best {count} at most are held, sized by "
        "volatility within the limits of the risk profile."
    )


def _forecaster_text(finished: Finished) -> str:
    settings = finished.result.settings
    said = _FORECASTERS.get(settings.forecaster, f"Forecasts come from {settings.forecaster}")
    walk = settings.walk_forward
    return (
        f"{said}, refitted every {walk.refit_bars} bars on the last {walk.train_bars} at most and calibrated on "
        "outcomes that were known at each forecast."
    )


def _facts(finished: Finished) -> tuple[tuple[str, str], ...]:
    result = finished.result
    fills = "at the next close: the set has closes only" if _close_only(finished) else "at the next open"
    exposure = percent(finished.comparison.exposure)
    return (
        ("Fills", fills),
        ("Risk profile", result.settings.profile),
        ("Average exposure", f"{exposure} of equity; 1/N is held at the same share"),
        ("Features", f"{len(result.prepared.features.fields)} used, {len(result.prepared.absent)} not available"),
        (
            "Trades",
            f"{len(result.backtest.orders):,} orders planned, {len(result.backtest.fills):,} fills, stops included",
        ),
    )


def _close_only(finished: Finished) -> bool:
    return not finished.result.data.bars.has("open")


def _limits(finished: Finished) -> tuple[str, ...]:
    """Return what cannot be concluded, is assumed or is off, the gravest first."""
    result = finished.result
    bar_set = result.data.bar_set
    said = [*_universe(bar_set), *_ended(finished), *_left(finished), *_absurd(finished), *_basis(bar_set)]
    if _close_only(finished):
        said.append("There are closes only: orders fill at the next close, and stops and targets act on closes.")
    costs = _cost_model(finished)
    said += [*costs.notes_at(_first_judged(finished)), *costs.assumptions]
    said += _absent_features(finished)
    for rules in (NOT_EVALUATED, inactive_rules()):
        said += [f"{head}: {_with_reasons(group)}." for head, group in _grouped(rules)]
    return (*said, *finished.loaded.notes)


def _grouped(rules: Sequence[tuple[str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (rule, reason) by what the reason begins with, such as "Off" or "Not evaluated"."""
    split = [(rule, *why.split(": ", 1)) if ": " in why else (rule, why, "") for rule, why in rules]
    heads = dict.fromkeys(head for _, head, _ in split)
    return [(head.capitalize(), [(rule, why) for rule, h, why in split if h == head]) for head in heads]


def _with_reasons(rules: Sequence[tuple[str, str]]) -> str:
    """Return the rules with each reason once, behind the rules that share it."""
    by_reason: dict[str, list[str]] = {}
    for rule, why in rules:
        by_reason.setdefault(why, []).append(rule)
    return "; ".join(f"{_listed(names)} ({why})" if why else _listed(names) for why, names in by_reason.items())


def _listed(names: list[str]) -> str:
    shown = names[:_MANY]
    rest = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(shown) + rest


def _universe(bar_set: BarSet) -> list[str]:
    if bar_set.universe_basis == "hindsight":
        return ["The names were chosen afterwards, so no result on them can count as evidence."]
    if bar_set.universe_basis != "point_in_time":
        return ["It is not known when the names were chosen; a gain on them cannot count as evidence."]
    return []


def _basis(bar_set: BarSet) -> list[str]:
    said = []
    if bar_set.asset_class is AssetClass.STOCK:
        reason = tier_unavailable(bar_set.price_basis)
        if reason is not None:
            said.append(f"Price tiers (TIER-01 to 05): {reason}.")
    if bar_set.price_basis.value == "total_return":
        said.append("Prices include reinvested dividends, so levels are not those that were traded.")
    return said


def _ended(finished: Finished) -> list[str]:
    book, rule = finished.result.backtest, DelistingRule(finished.result.settings.delisting_return)
    if not book.ended:
        return [f"No held listing ended within the record; {rule.text}."]
    net = book.net[-1] / float(finished.result.settings.capital) - 1.0
    cut = book.net_haircut[-1] / float(finished.result.settings.capital) - 1.0
    names = "One listing" if len(book.ended) == 1 else f"{len(book.ended)} listings"
    return [
        f"{names} ended while held ({rule.text}): {percent(float(net), signed=True)} in all. Booked "
        f"30 % below that print, the result would be {percent(float(cut), signed=True)}."
    ]


def _left(finished: Finished) -> list[str]:
    book = finished.result.backtest
    if not book.left:
        return []
    capital = float(finished.result.settings.capital)
    net, booked = book.net[-1] / capital - 1.0, book.net_jump[-1] / capital - 1.0
    names = "One name was" if len(book.left) == 1 else f"{len(book.left)} names were"
    return [
        f"{names} held when prices jumped without an explanation, and closed at the last price before: "
        f"{percent(float(net), signed=True)} in all. With the jumps booked it would be "
        f"{percent(float(booked), signed=True)}."
    ]


def _absurd(finished: Finished) -> list[str]:
    data = finished.result.data
    count = int(absurd_bars(data.bars, data.bar_set.asset_class).sum())
    if not count:
        return []
    return [
        f"{count:,} bars hold an open, high or low that no one could have dealt at; orders, stops and targets passed "
        "them by."
    ]


def _absent_features(finished: Finished) -> list[str]:
    absent = sorted(finished.result.prepared.absent.items())
    return [f"Features not computed: {_with_reasons(absent)}."] if absent else []


def _first_judged(finished: Finished) -> int:
    ends = finished.result.data.bars.end
    return int(ends[min(finished.comparison.first, len(ends) - 1)])


def _cost_model(finished: Finished) -> CostModel:
    result = finished.result
    return build_parts(result.data.bars, result.data.bar_set, result.settings, strategy=None, explain=None).costs


def cost_notes(finished: Finished) -> tuple[str, ...]:
    """Return what was left out of the costs or assumed."""
    costs = _cost_model(finished)
    return (*costs.notes_at(_first_judged(finished)), *costs.assumptions)


def cost_basis(finished: Finished, key: str) -> str:
    """Return how one kind of cost is known."""
    model = _cost_model(finished)
    settings = model.settings
    if key == "slippage":
        side = percent(float(settings.slippage_fraction + settings.half_spread_fraction), 3)
        measured = "; measured half-spread where the set has one" if finished.result.data.bars.has("spread") else ""
        pips = "; typical spread in pips" if settings.asset_class is AssetClass.FOREX and not measured else ""
        return f"assumed: {side} of value a side{pips}{measured}"
    if key == "fees":
        parts = ["dated SEC fee and FINRA TAF"] if settings.regulatory else []
        if settings.commission_fraction:
            parts.append(f"commission of {percent(float(settings.commission_fraction), 3)} a side")
        if settings.commission_per_unit:
            parts.append(f"commission of {settings.commission_per_unit:f} a unit")
        return ", ".join(parts) or "none in the cost model"
    if key == "funding":
        return f"assumed: {percent(float(settings.funding_per_8h), 3)} per 8 h against the position"
    return f"assumed: {percent(float(settings.borrow_per_year), 2)} a year"
