"""Numbers from outside: every one registered, joined when available, carried no longer than its limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.domain.bars import BarSet
from foresail.domain.facts import fact_table
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.panel import Panel
from foresail.domain.sectors import Sector
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE, resolve
from foresail.features.context import FeatureContext
from foresail.features.given_context import GivenSources, fill_givens, offered_givens, sector_ranks
from foresail.features.givens import GIVENS, REFERENCES

DAY = 86_400_000_000_000
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")


def sources_of(
    ids=("stock.US.AAA", "stock.US.BBB"), t=8, asset_class=AssetClass.STOCK, close=10.0, basis=PriceBasis.RAW, **more
):
    n = len(ids)
    values = np.full((n, t, len(FIELDS)), np.nan)
    values[:, :, :4] = np.broadcast_to(close, (n, t))[:, :, None]
    values[:, :, 4], values[:, :, 6], values[:, :, 7] = 100.0, 1.0, 1.0
    start = np.arange(t, dtype=np.int64) * DAY
    panel = Panel(values, np.ones((n, t), bool), start, start + DAY, start + DAY, FIELDS, ids, "1d", "24/7")
    sectors = ("technology", "energy", "finance", "materials")
    names = tuple(Instrument(i, i.split(".")[-1], asset_class, sector=sectors[k % 4]) for k, i in enumerate(ids))
    bar_set = BarSet("test", asset_class, "1d", "24/7", basis, "point_in_time", "USD", 0.0, False, False, names)
    return GivenSources(panel, bar_set, **more)


def facts(rows, field):
    """Rows of (instrument, event day, available day, value)."""
    who, event, available, value = zip(*rows, strict=True)
    days = [np.array(x, dtype=np.int64) * DAY for x in (event, available)]
    return fact_table(who, days[0], {field: np.array(value, dtype=float)}, available_at=days[1])


def one(name, sources):
    return fill_givens([name], sources)[:, :, 0]


def test_every_given_and_reference_that_a_row_reads_is_registered():
    read = {i for spec in CATALOGUE.values() for i in spec.inputs if ":" in i}
    assert {i[6:] for i in read if i.startswith("given:")} <= set(GIVENS)
    assert {i[10:] for i in read if i.startswith("reference:")} <= set(REFERENCES)
    for row in GIVENS.values():
        assert row.unit
        assert row.source
        assert row.reason
        assert row.scope in {"instrument", "market", "base", "quote"}


def test_an_absent_series_says_why_and_who_makes_it():
    panel = sources_of().panel
    available, absent = resolve(["roe", "sentiment_score", "tft_p50_5", "hash_rate"], panel)
    assert available == ()
    assert "no facts of published reports" in absent["roe"]
    assert "FUND-02" in absent["roe"]
    assert "no texts were scored" in absent["sentiment_score"]
    assert "model" in absent["tft_p50_5"]
    assert "given" not in offered_givens(sources_of())


def test_a_value_counts_from_its_publication_and_a_restatement_from_its_own():
    table = facts([("stock.US.AAA", 0, 3, 1.0), ("stock.US.AAA", 0, 6, 2.0)], "roe")
    values = one("roe", sources_of(facts=(table,)))
    # Row t is decided at the end of day t, which is the start of day t + 1.
    np.testing.assert_array_equal(values[0], [np.nan, np.nan, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    assert np.isnan(values[1]).all()


@pytest.mark.parametrize(
    ("name", "days", "ids", "kind"),
    [
        ("roe", 120, ("stock.US.AAA",), AssetClass.STOCK),
        ("hash_rate", 3, ("crypto.BTC-USD",), AssetClass.CRYPTO),
    ],
)
def test_a_value_is_carried_to_its_limit_and_no_bar_longer(name, days, ids, kind):
    table = facts([(ids[0], 0, 1, 5.0)], name)
    values = one(name, sources_of(ids, days + 5, kind, facts=(table,)))[0]
    assert np.isfinite(values[: days + 1]).all()
    assert np.isnan(values[days + 1 :]).all()


def test_ratios_to_the_traded_price_follow_a_split():
    table = facts([("stock.US.AAA", 0, 1, 2.0), ("stock.US.BBB", 0, 1, -2.0)], "eps_ttm")
    close = np.array([[20.0, 20.0, 10.0, 10.0], [20.0, 20.0, 20.0, 20.0]])
    sources = sources_of(t=4, close=close, facts=(table,))
    sources.panel.values[0, 2, 6] = 2.0
    np.testing.assert_allclose(one("pe_ratio", sources)[0], [10.0, 10.0, 10.0, 10.0])
    assert np.isnan(one("pe_ratio", sources)[1]).all()  # losses have no multiple
    np.testing.assert_allclose(one("earnings_yield", sources)[1], [-0.1] * 4)
    adjusted = sources_of(t=4, basis=PriceBasis.TOTAL_RETURN, facts=(table,))
    assert "pe_ratio" not in offered_givens(adjusted)


def test_days_count_down_to_an_event_and_up_from_one():
    table = facts([("stock.US.AAA", 0, 0, 5.0)], "next_earnings_day")
    values = one("days_to_earnings", sources_of(facts=(table,)))[0]
    np.testing.assert_array_equal(values, [4, 3, 2, 1, 0, np.nan, np.nan, np.nan])
    table = facts([("", 0, 0, 2.0)], "last_rate_change_day")
    values = one("days_since_last_rate_change", sources_of(("fx.EUR-USD",), asset_class=AssetClass.FOREX,
                                                           facts=(table,)))[0]  # fmt: skip
    np.testing.assert_array_equal(values, [np.nan, 0, 1, 2, 3, 4, 5, 6])


def test_rates_are_those_of_the_two_legs_and_carry_has_a_floor():
    rates = facts([("fx.AUD", 0, 0, 0.04), ("fx.JPY", 0, 0, -0.001), ("fx.USD", 0, 0, 0.05)], "policy_rate")
    free = facts([("", 0, 0, 0.001)], "fed_funds_rate")
    ids = ("fx.AUD-JPY", "fx.AUD-USD")
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, (2, 30)), axis=1))
    sources = sources_of(ids, 30, AssetClass.FOREX, close, facts=(rates, free))
    names = ("base_policy_rate", "fed_funds_rate", "quote_policy_rate")
    context = replace(FeatureContext.of(sources.panel), given_names=names, given=fill_givens(names, sources))
    out = compute(sources.panel, ["interest_rate_diff", "carry_trade_score"], context)
    np.testing.assert_allclose(out.field("interest_rate_diff")[:, 5], [0.041, -0.01])
    yearly = np.std(np.diff(np.log(close))[:, -20:], axis=1, ddof=1) * np.sqrt(252)
    np.testing.assert_allclose(
        out.field("carry_trade_score")[:, -1], np.array([0.041, -0.01]) / yearly / 0.005, rtol=1e-9
    )


def test_the_traded_rate_against_purchasing_power():
    table = facts([("fx.EUR-USD", 0, 0, 1.25)], "ppp_rate")
    values = one("ppp_deviation", sources_of(("fx.EUR-USD",), asset_class=AssetClass.FOREX, close=1.0, facts=(table,)))
    np.testing.assert_allclose(values, -0.2)


def test_open_interest_of_a_day_before():
    rows = [("crypto.BTC-USD", d, d, 100.0 + d) for d in range(1, 8)]
    sources = sources_of(("crypto.BTC-USD",), asset_class=AssetClass.CRYPTO, facts=(facts(rows, "open_interest"),))
    names = ("open_interest", "open_interest_24h_ago")
    context = replace(FeatureContext.of(sources.panel), given_names=names, given=fill_givens(names, sources))
    out = compute(sources.panel, ["open_interest", "open_interest_change_24h"], context).values[0]
    np.testing.assert_array_equal(out[:, 0], [101, 102, 103, 104, 105, 106, 107, 107])
    np.testing.assert_array_equal(out[1:, 1], [1, 1, 1, 1, 1, 1, 0])


def test_static_codes_tiers_and_baselines():
    sources = sources_of(close=np.array([[0.4] * 4 + [5.0] * 4, [5.01] * 4 + [600.0] * 4]))
    np.testing.assert_array_equal(one("price_tier", sources)[0], [np.nan] * 4 + [0] * 4)
    np.testing.assert_array_equal(one("price_tier", sources)[1], [1] * 4 + [4] * 4)
    assert one("sector", sources)[:, 0].tolist() == [list(Sector).index("technology"), list(Sector).index("energy")]
    assert one("ticker", sources)[:, 3].tolist() == [0, 1]
    assert one("sector_avg_volatility", sources)[:, 0].tolist() == [0.025, 0.020]
    assert one("sector_typical_rsi", sources)[0, 0] == pytest.approx(0.55)
    assert "price_tier" not in offered_givens(sources_of(basis=PriceBasis.TOTAL_RETURN))
    assert "bid_ask_spread" not in offered_givens(sources)
    sources.panel.values[:, :, 8] = 0.01
    assert one("bid_ask_spread", sources)[1, 7] == pytest.approx(0.01 / 600.0)


def test_a_pip_is_a_hundredth_of_a_yen_and_a_ten_thousandth_elsewhere():
    pairs = sources_of(("fx.EUR-USD", "fx.USD-JPY"), asset_class=AssetClass.FOREX)
    assert one("pip_size", pairs)[:, 0].tolist() == [0.0001, 0.01]
    assert "pip_size" not in offered_givens(sources_of())


def test_sectors_are_ranked_by_their_return():
    t = 23
    closes = np.array([np.full(t, 10.0), 10.0 * 1.01 ** np.arange(t), 10.0 * 0.99 ** np.arange(t)])
    days = np.tile(np.arange(t, dtype=float), (3, 1))
    ranks = sector_ranks(closes, days)
    assert np.isnan(ranks[:, :20]).all()
    np.testing.assert_array_equal(ranks[:, 21], [0.5, 1.0, 0.0])
    assert np.isnan(sector_ranks(closes[:1], days[:1])).all()
    funds = {"sector_technology": closes[1], "sector_energy": closes[2], "vix": closes[0]}
    funds |= {f"day_of_{name}": days[0] for name in funds}
    sources = sources_of(t=t, reference=funds)
    np.testing.assert_array_equal(one("sector_rank", sources)[:, 22], [1.0, 0.0])
    np.testing.assert_array_equal(one("sector_close", sources), closes[1:])
    alone = {"sector_energy": closes[2], "day_of_sector_energy": days[0]}
    assert "sector_rank" not in offered_givens(sources_of(t=t, reference=alone))
    assert "day_of_sector" in offered_givens(sources_of(t=t, reference=alone))


def test_two_sets_with_the_same_field_are_refused():
    table = facts([("stock.US.AAA", 0, 1, 5.0)], "roe")
    with pytest.raises(DataError, match="2 sets of facts hold the field 'roe'"):
        offered_givens(sources_of(facts=(table, table)))


def test_what_is_published_later_changes_nothing_before():
    rng = np.random.default_rng(5)
    rows = [("stock.US.AAA", e, e + int(rng.integers(1, 9)), float(rng.normal())) for e in range(0, 60, 3)]
    names = ("roe",)
    whole = fill_givens(names, sources_of(t=70, facts=(facts(rows, "roe"),)))
    for cut in (10, 25, 44):
        early = [row for row in rows if row[2] <= cut + 1]
        part = fill_givens(names, sources_of(t=70, facts=(facts(early, "roe"),)))
        np.testing.assert_array_equal(part[:, : cut + 1], whole[:, : cut + 1])


def test_the_second_leg_of_a_pair_is_the_adjusted_close_of_another_instrument():
    ids = ("stock.US.AAA", "stock.US.BBB", "stock.US.CCC")
    sources = sources_of(ids, close=np.arange(24.0).reshape(3, 8) + 1.0, pairs={ids[0]: ids[1], ids[1]: ids[2]})
    sources.panel.values[1, 4:, FIELDS.index("total_factor")] = 2.0  # a split of BBB after the fourth bar
    sources.panel.values[2, 5, :] = np.nan
    sources.panel.present[2, 5] = False
    legs = one("pair_close", sources)
    np.testing.assert_array_equal(legs[0], (np.arange(8.0) + 9.0) * np.repeat([1.0, 2.0], 4))
    np.testing.assert_array_equal(legs[1], [17, 18, 19, 20, 21, np.nan, 23, 24])  # nothing is carried over a gap
    assert np.isnan(legs[2]).all()
    told = replace(sources, facts=(facts([(ids[2], 0, 0, 5.0)], "pair_close"),))
    np.testing.assert_array_equal(one("pair_close", told)[:2], legs[:2])
    assert one("pair_close", told)[2, 1] == 5.0
    assert "pair_close" not in offered_givens(replace(sources, pairs={}))
