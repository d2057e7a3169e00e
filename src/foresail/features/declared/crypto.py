"""On-chain, derivative, dominance, social and arbitrage rows of crypto (section 8.14)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.expressions import Ref, given, node
from foresail.features.formulas.common import divide, subtract
from foresail.features.formulas.days import day_alarm, day_growth, day_mean, day_ratio_to_mean
from foresail.features.formulas.given import change, difference, known, share_of

__all__ = ["declared"]

_CRYPTO = (AssetClass.CRYPTO,)


def _level(name: str, text: str, source: str, group: str) -> FeatureSpec:
    """Return a row of a level that only grows; a model sees it against its mean of 30 days."""
    return declare(name, known(name), text, source, group=group, type_="onchain", classes=_CRYPTO,
                   model=day_ratio_to_mean(given(name), 30))  # fmt: skip


def _row(name: str, value: Ref, text: str, *names: str, parameters: tuple[float, ...] = ()) -> FeatureSpec:
    source, group = names
    flag = "flag" if name.endswith(("alarm", "opportunity")) else "onchain"
    return declare(name, value, text, source, group=group, type_=flag, classes=_CRYPTO, parameters=parameters)


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield from _onchain()
    yield from _derivatives()
    for coin in ("btc", "eth"):
        yield _row(f"{coin}_dominance", known(f"{coin}_dominance"), f"{coin} market value over that of all coins",
                   "FEAT-317", "cap")  # fmt: skip
    rest = node("add", node("scaled", known("btc_dominance"), real=-1.0).out, real=1.0).out
    yield declare("altcoin_season_index", rest, "1 - dominance of bitcoin", "FEAT-318", group="cap", type_="onchain",
                   classes=_CRYPTO, display_factor=100.0)  # fmt: skip
    for name, text in (
        ("twitter_mentions", "posts that name the coin, a day"),
        ("reddit_posts", "posts of the coin's forum, a day"),
        ("google_trends", "search interest, 0 to 1"),
    ):
        yield _row(name, known(name), text, "FEAT-319", "social")
    yield declare("crypto_fear_greed", known("crypto_fear_greed"), "fear (0) to greed (1)", "FEAT-320", group="social",
                   type_="sentiment", classes=_CRYPTO, display_factor=100.0)  # fmt: skip
    gap = divide(difference("binance_price", "coinbase_price"), known("coinbase_price"))
    yield _row("binance_coinbase_spread", gap, "(binance - coinbase) / coinbase, both against USD", "FEAT-324",
               "arbitrage")  # fmt: skip
    wide = node("above", node("magnitude", gap).out, real=0.002).out
    yield _row("arbitrage_opportunity", wide, "1 where the spread of two exchanges exceeds 0.002", "FEAT-325",
               "arbitrage", parameters=(0.002,))  # fmt: skip
    yield _level("tvl", "value locked in contracts, USD", "FEAT-326", "defi")
    yield _row("tvl_change_7d", day_growth(given("tvl"), 7), "value locked over that of 7 days ago, minus 1",
               "FEAT-326", "defi", parameters=(7,))  # fmt: skip


def _onchain() -> Iterable[FeatureSpec]:
    yield _level("active_addresses", "addresses that moved coins, a day", "FEAT-311", "onchain")
    yield declare("active_addresses_7d_ma", day_mean(given("active_addresses"), 7), "7-day mean of active addresses",
                   "FEAT-311", group="onchain", type_="onchain", classes=_CRYPTO, parameters=(7,),
                   model=day_ratio_to_mean(given("active_addresses"), 7))  # fmt: skip
    for side in ("inflow", "outflow"):
        name = f"exchange_{side}"
        yield _level(name, f"coins that went {'to' if side == 'inflow' else 'from'} exchanges, a day", "FEAT-312",
                     "onchain")  # fmt: skip
    net = difference("exchange_outflow", "exchange_inflow")
    total = node("combine", known("exchange_outflow"), known("exchange_inflow"), real=1.0).out
    yield declare("exchange_net_flow", net, "outflow minus inflow", "FEAT-312", group="onchain", type_="onchain",
                   classes=_CRYPTO, model=divide(net, total))  # fmt: skip
    for side in ("inflow", "outflow"):
        yield _row(f"exchange_{side}_alarm", day_alarm(given(f"exchange_{side}"), 30, 2.0),
                   f"1 where the {side} exceeds twice its 30-day mean", "FEAT-312", "onchain",
                   parameters=(30, 2))  # fmt: skip
    yield _row("supply_on_exchanges_percent", share_of("exchange_supply", "total_supply"),
               "coins on exchanges over all coins, a fraction", "FEAT-313", "onchain")  # fmt: skip
    yield _row("supply_in_profit_percent", share_of("addresses_in_profit", "all_addresses"),
               "addresses in profit over all addresses, a fraction", "FEAT-314", "onchain")  # fmt: skip
    for name, text in (
        ("hash_rate", "hashes a second of the network"),
        ("mining_difficulty", "difficulty of the network"),
        ("miners_revenue", "revenue of all miners, a day, USD"),
    ):
        yield _level(name, text, "FEAT-315", "onchain")
    yield _row("mvrv", known("mvrv"), "market value over realised value", "FEAT-316", "onchain")
    yield _level("transaction_volume", "transactions on the chain, a day", "FEAT-316", "onchain")
    yield _level("whale_movements", "large transfers, a day", "FEAT-316", "onchain")


def _derivatives() -> Iterable[FeatureSpec]:
    places = ("binance", "bybit")
    for place in places:
        yield _row(f"funding_rate_{place}", known(f"funding_rate_{place}"),
                   f"last funding rate of the USDT-margined contract on {place}, a fraction a period", "FEAT-321",
                   "derivative")  # fmt: skip
    both = node("combine", *(known(f"funding_rate_{place}") for place in places), real=1.0).out
    yield _row("funding_rate_avg", node("scaled", both, real=0.5).out, "mean of both exchanges", "FEAT-321",
               "derivative")  # fmt: skip
    yield _row("funding_rate_change", change(given("funding_rate_binance"), 1), "funding rate minus that of a bar ago",
               "FEAT-321", "derivative", parameters=(1,))  # fmt: skip
    yield _level("open_interest", "open contracts, coins", "FEAT-322", "derivative")
    before = given("open_interest_24h_ago")
    moved = subtract(known("open_interest"), before)
    yield declare("open_interest_change_24h", moved, "open interest minus that of 24 hours before", "FEAT-322",
                   group="derivative", type_="onchain", classes=_CRYPTO, model=divide(moved, before))  # fmt: skip
    yield _row("long_short_ratio", known("long_short_ratio"), "accounts that are long over those that are short",
               "FEAT-323", "derivative")  # fmt: skip
