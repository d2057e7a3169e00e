"""Hand-computed values of what the oracles do not cover: gaps, splits, missing fields, ranks, sectors."""

import numpy as np
import pytest

from foresail.core.errors import CapabilityError, IntegrityError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.batch import compute, compute_many
from foresail.features.context import FeatureContext, calendar_flags
from foresail.features.live import LiveDriver

DAY = 86_400_000_000_000
FIELDS = ("open", "high", "low", "close", "volume", "split", "total_factor")


def closes(*rows: list[float], **fields: list[list[float]]) -> Panel:
    close = np.array(rows, dtype=float)
    n, t = close.shape
    values = np.full((n, t, len(FIELDS)), np.nan)
    values[:, :, 3] = close
    for name, column in fields.items():
        values[:, :, FIELDS.index(name)] = np.array(column, dtype=float)
    start = np.arange(t, dtype=np.int64) * DAY
    names = tuple(f"stock.US.S{i}" for i in range(n))
    return Panel(values, np.isfinite(close), start, start + DAY, start + DAY, FIELDS, names, "1d", "24/7")


def one(panel: Panel, name: str, **context: object) -> np.ndarray:
    return compute(panel, [name], FeatureContext.of(panel, **context)).values[:, :, 0]  # type: ignore[arg-type]


def test_a_return_over_a_gap_spans_the_bars_that_exist():
    out = one(closes([100.0, np.nan, 110.0, 121.0]), "log_return_1")
    np.testing.assert_allclose(out, [[np.nan, np.nan, np.log(1.1), np.log(1.1)]], rtol=1e-14)


def test_the_total_factor_enters_returns_and_an_absent_one_keeps_the_last():
    out = one(closes([100.0, 50.0, 50.0], total_factor=[[1.0, 2.02, np.nan]]), "log_return_1")
    np.testing.assert_allclose(out, [[np.nan, np.log(1.01), 0.0]], atol=1e-15)


@pytest.mark.parametrize(("factor", "expected"), [([1.0] * 19 + [2.0], 1.0), ([1.0] * 20, 20 * 20 / 21 / 10)])
def test_a_split_rescales_volume_only_where_prices_are_raw(factor, expected):
    """20 bars; on the last, 2 for 1: twice the shares are the same trade on raw prices, a doubling on adjusted ones."""
    panel = closes(
        [100.0] * 20,
        volume=[[10.0] * 19 + [20.0]],
        split=[[1.0] * 19 + [2.0]],
        total_factor=[factor],
    )
    assert one(panel, "volume_ratio_20")[0, -1] == pytest.approx(expected)


def test_a_missing_volume_is_no_zero_and_holds_up_only_volume_features():
    volume = [[10.0] * 10 + [np.nan] + [10.0] * 10]
    panel = closes([100.0] * 21, volume=volume)
    out = compute(panel, ["volume_ratio_20", "log_return_1"], FeatureContext.of(panel)).values[0]
    assert np.isnan(out[:20, 0]).all()
    assert out[20, 0] == 1.0
    assert np.array_equal(out[1:, 1], np.zeros(20))


def test_ranks_share_ties_and_leave_out_the_absent():
    panel = closes([1.0, 1.1], [1.0, 1.2], [1.0, 1.1], [np.nan, 1.0], [1.0, 0.9])
    np.testing.assert_allclose(one(panel, "rank_log_return_1")[:, 1], [0.5, 1.0, 0.5, np.nan, 0.0])


def test_negative_and_positive_zero_are_one_rank():
    panel = closes([2.0, 2.0], [1.0, 1.0], [4.0, 2.0])
    np.testing.assert_allclose(one(panel, "rank_log_return_1")[:, 1], [0.75, 0.75, 0.0])


def test_one_name_has_no_rank_no_market_and_no_sector():
    panel = closes([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6])
    for name in ("rank_log_return_1", "market_return_5", "market_dispersion_5", "sector_relative_5"):
        assert np.isnan(one(panel, name, sectors=["a"])).all()


def test_a_sector_of_one_and_no_sector_are_absent():
    rows = [[1.0] * 5 + [x] for x in (1.0, 2.0, 4.0)]
    out = one(closes(*rows), "sector_relative_5", sectors=["a", "a", "b"])[:, 5]
    np.testing.assert_allclose(out, [-np.log(2) / 2, np.log(2) / 2, np.nan], rtol=1e-14)
    assert np.isnan(one(closes(*rows), "sector_relative_5")).all()


def test_rsi_by_hand():
    """Wilder 5: five moves +1 +1 -1 +1 -1, then +2: gains (3*4/5... see the terms below)."""
    out = one(closes([10.0, 11.0, 12.0, 11.0, 12.0, 11.0, 13.0]), "rsi_5")[0]
    assert out[5] == pytest.approx(3 / 5)
    gain, loss = (3 / 5 * 4 + 2) / 5, (2 / 5 * 4 + 0) / 5
    assert out[6] == pytest.approx(gain / (gain + loss))


def test_explicit_names_keep_their_order_and_unknown_ones_raise():
    panel = closes([1.0, 2.0])
    assert compute(panel, ["rsi", "ret_1"], FeatureContext.of(panel)).fields == ("rsi_14", "log_return_1")
    with pytest.raises(UnknownNameError):
        compute(panel, ["foo"], FeatureContext.of(panel))


def test_a_reference_that_is_not_there_is_said():
    panel = closes([1.0, 2.0])
    with pytest.raises(CapabilityError, match="vix"):
        one(panel, "vix_change_1")


def test_no_names_means_what_the_panel_can_give():
    panel = closes([1.0, 2.0], [1.0, 2.0])
    fields = compute(panel, None, FeatureContext.of(panel)).fields
    assert "rsi_14" in fields
    assert "atr_pct_14" not in fields


def test_an_empty_list_gives_an_empty_panel():
    panel = closes([1.0, 2.0])
    assert compute(panel, [], FeatureContext.of(panel)).shape == (1, 2, 0)


def test_context_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="context of"):
        compute(closes([1.0, 2.0]), ["rsi_14"], FeatureContext.of(closes([1.0], [1.0])))


def test_weekday_is_that_of_the_session():
    # Monday 2024-01-08, forex day from Sunday 22:00 UTC; New York hours follow daylight saving.
    sunday_evening = np.array([1_704_664_800 * 10**9], dtype=np.int64)
    flags = calendar_flags(sunday_evening, sunday_evening + DAY, "24/5")
    np.testing.assert_allclose(flags[:2, 0], [0.0, 1.0], atol=1e-15)
    winter = np.array([1_704_724_200 * 10**9], dtype=np.int64)  # 2024-01-08 14:30 UTC = 09:30 in New York
    summer = np.array([1_720_445_400 * 10**9], dtype=np.int64)  # 2024-07-08 13:30 UTC = 09:30 in New York
    hour = 3600 * 10**9
    same = [calendar_flags(s, s + hour, "XNYS")[:, 0] for s in (winter, summer)]
    np.testing.assert_allclose(same[0], same[1])
    np.testing.assert_allclose(same[0][2], np.sin(2 * np.pi * 9.5 / 24))


def test_live_refuses_a_snapshot_of_another_set_and_wrong_shapes():
    panel = closes([1.0, 2.0])
    context = FeatureContext.of(panel)
    driver = LiveDriver(panel.instruments, ["rsi_14"], context, panel.fields)
    other = LiveDriver(panel.instruments, ["log_return_60"], context, panel.fields)
    with pytest.raises(IntegrityError, match="for other features"):
        driver.restore(other.snapshot())
    with pytest.raises(IntegrityError, match="other kernels"):
        driver.restore({**driver.snapshot(), "identity": np.zeros(36, np.uint8)})
    with pytest.raises(ValueError, match="expected bars"):
        driver.update(np.zeros((2, 7)), np.ones(2, bool), context.row(0))


def test_panels_side_by_side_equal_one_after_the_other():
    panels = [closes([1.0, 2.0, 3.0 + k]) for k in range(4)]
    jobs = [(panel, ["log_return_1", "rsi_5"], FeatureContext.of(panel)) for panel in panels]
    for ours, job in zip(compute_many(jobs, threads=3), jobs, strict=True):
        np.testing.assert_array_equal(ours.values, compute(*job).values)
