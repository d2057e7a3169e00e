"""Scores of stored forecasts: the figures by hand, absent bars, removed models, rolling figures and their limits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foresail.core.clock import NS_PER_DAY, format_ns
from foresail.core.ids import InstrumentId
from foresail.service.models_registry import ModelRegistry
from foresail.service.serving_outcomes import OutcomeWindow
from foresail.service.serving_paired import Pairs
from foresail.service.serving_records import ForecastRecords
from foresail.service.serving_scores import ForecastScores, score_lines

NAMES = ("stock.US.A", "stock.US.B")
START = 20_000 * NS_PER_DAY + 21 * NS_PER_DAY // 24
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def window(close: list[list[float]], scale: float = 0.02) -> OutcomeWindow:
    values = np.array(close)
    end = START + NS_PER_DAY * np.arange(values.shape[1])
    return OutcomeWindow(tuple(map(InstrumentId, NAMES)), end, end + 60, values, np.full(values.shape, scale))


def row(bar: int, horizon: int = 1, name: int = 0, **other: Any) -> dict[str, Any]:
    curve = {f"{level:g}": 0.02 * (level - 0.5) for level in LEVELS}
    return {
        "model_version": "stock_1d_gone_v1 gone@1-00",
        "instrument": NAMES[name],
        "as_of": format_ns(START + NS_PER_DAY * bar),
        "horizon": horizon,
        "stale": False,
        "predicted_return": 0.001,
        "confidence_score": 0.6,
        "prob_down": 0.2,
        "prob_neutral": 0.5,
        "prob_up": 0.3,
        "quantiles": curve,
        **other,
    }


class Kept:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = ForecastRecords(folder)
        self.scores = self.fresh()

    def fresh(self) -> ForecastScores:
        return ForecastScores(self.folder / "stock_1d", ModelRegistry(self.folder))

    def lines(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "stock_1d/scores").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_score_by_hand(kept: Kept) -> None:
    kept.records.append("stock_1d", [row(0), row(0, 2), row(0, 1, 1, stale=True, quantiles=None)])
    assert kept.scores.resolve(window([[100.0], [50.0]])) == 0
    assert kept.scores.resolve(window([[100.0, 103.0], [50.0, 51.0]])) == 1
    (line,) = kept.lines()
    outcome = math.log(1.03)
    assert line["outcome"] == pytest.approx(outcome)
    loss = sum(max(q * (outcome - 0.02 * (q - 0.5)), (q - 1) * (outcome - 0.02 * (q - 0.5))) for q in LEVELS)
    assert line["loss"] == pytest.approx(loss / len(LEVELS))
    assert (line["inside"], line["right"], line["class"]) == (False, True, "BUY")
    assert line["class_loss"] == pytest.approx(-math.log(0.3))
    assert line["known_at"] == format_ns(START + NS_PER_DAY)
    assert kept.scores.resolve(window([[100.0, 103.0, 99.9], [50.0, 51.0, 52.0]])) == 1
    second = kept.lines()[-1]
    assert (second["horizon"], second["inside"], second["right"], second["class"]) == (2, True, False, "HOLD")


def test_no_move_has_no_sign_and_an_absent_bar_is_waited_for_and_then_told(kept: Kept) -> None:
    nan = float("nan")
    kept.records.append("stock_1d", [row(0), row(0, 1, 1)])
    close = [[10.0, nan], [5.0, 5.0]]
    assert kept.scores.resolve(window(close)) == 1
    assert kept.lines()[0]["right"] is None
    for _ in range(4):
        close = [[*close[0], 10.0], [*close[1], 5.0]]
        assert kept.scores.resolve(window(close)) == 0
    close = [[*close[0], 10.0], [*close[1], 5.0]]
    assert kept.scores.resolve(window(close)) == 1
    assert kept.lines()[-1]["outcome"] is None
    assert kept.fresh().resolve(window(close)) == 0
    assert kept.scores.recent()[0]["scored"] == 1


def test_days_that_are_settled_are_not_read_again_and_still_count(kept: Kept, monkeypatch) -> None:
    close = [[100.0 + i % 3 for i in range(30)], [50.0] * 30]
    kept.records.append("stock_1d", [row(bar) for bar in range(30)])
    assert kept.scores.resolve(window(close)) == 29
    told = kept.scores.recent()
    settled = json.loads((kept.folder / "stock_1d/scores/settled.json").read_text())["before"]
    assert settled == format_ns(START + 29 * NS_PER_DAY)[:10]
    fresh = kept.fresh()
    assert fresh.resolve(window(close)) == 0
    assert fresh.recent() == told
    assert [*fresh._days] == [settled]
    (kept.folder / "stock_1d/scores/settled.json").unlink()
    lost = kept.fresh()
    assert lost.resolve(window(close)) == 0
    assert lost.recent() == told


def test_the_newest_hundred_are_told_and_bad_ones_ask_for_a_new_model(kept: Kept) -> None:
    rng = np.random.default_rng(1)
    moves = np.concatenate([rng.normal(0, 0.004, 120), np.full(101, 0.05)])
    close = [np.exp(np.cumsum(moves)).tolist(), [50.0] * 221]
    kept.records.append("stock_1d", [row(bar) for bar in range(220)])
    early = kept.fresh()
    early.resolve(window([one[:120] for one in close]))
    (good,) = early.recent()
    assert good["scored"] == 100
    assert good["coverage"] > 0.9
    assert any("P10 to P90 held" in text for text in good["retrain"])  # too wide is wrong too
    kept.scores.resolve(window(close))
    (bad,) = kept.scores.recent()
    assert (bad["scored"], bad["coverage"], bad["right"]) == (100, 0.0, 1.0)
    assert bad["calibration_gap"] == pytest.approx(-0.4)
    assert bad["loss_ratio"] is None  # of a model that was removed nobody knows what it promised
    assert not any("lose" in text for text in bad["retrain"])
    lines = score_lines([bad])
    assert "stock_1d_gone_v1, 1 bar ahead, last 100: P10-P90 held 0%, right sign 100% (said 60%)" in lines[0]
    assert "retrain" in lines[1]


def test_a_challenger_is_compared_on_what_both_have_scored_day_by_day(tmp_path: Path) -> None:
    folder = tmp_path / "stock_1d"
    (folder / "scores").mkdir(parents=True)

    def write(day: int, lines: list[tuple[str, str, float, bool | None]]) -> None:
        at = format_ns(START + NS_PER_DAY * day)
        told = [
            {"model_version": v, "instrument": i, "as_of": at, "horizon": 1, "outcome": 0.01, "loss": loss, "right": r}
            for v, i, loss, r in lines
        ]
        text = "".join(json.dumps(one) + "\n" for one in told)
        with (folder / "scores" / f"{at[:10]}.jsonl").open("a") as stream:
            stream.write(text)

    pairs = Pairs(folder)
    assert pairs.compare("a", "b") == []
    write(0, [("a", "X", 1.0, True), ("b", "X", 0.5, False), ("a", "Y", 9.0, True)])  # Y has no pair
    (one,) = pairs.compare("a", "b")
    assert (one["pairs"], one["days"], one["loss_ratio"], one["days_better"], one["right"]) == (1, 1, 0.5, 1.0, [1, 0])
    write(0, [("b", "Y", 3.0, None)])  # read on from where it stopped
    (one,) = pairs.compare("a", "b")
    assert (one["pairs"], one["loss_ratio"], one["right"]) == (2, pytest.approx(1.75 / 5.0), [1, 0])
    for day in range(1, 5):
        write(day, [(v, f"N{k}", 1.0 + (v == "b"), True) for v in "ab" for k in range(25)])
    (one,) = pairs.compare("a", "b")
    assert (one["days"], one["pairs"], one["enough"], one["days_better"]) == (5, 102, True, 0.2)
    assert one["loss_ratio"] == pytest.approx((1.75 + 4 * 2.0) / (5.0 + 4 * 1.0))
    assert pairs.compare("b", "a")[0]["loss_ratio"] == pytest.approx(9.0 / 9.75)
    assert pairs.compare("a", "absent") == []


def both(kept: Kept, close: list[list[float]]) -> tuple[OutcomeWindow, OutcomeWindow]:
    """Return the windows of two sets, each of one instrument; the second vendor is two bars late."""
    told = window(close)
    one = OutcomeWindow(told.instruments[:1], told.end, told.available_at, told.close[:1], told.scale[:1])
    late = slice(0, len(told.end) - 2)
    return one, OutcomeWindow(
        told.instruments[1:], told.end[late], told.available_at[late], told.close[1:, late], told.scale[1:, late]
    )


@pytest.mark.parametrize("restarts", [False, True])
def test_forecasts_of_a_late_vendor_are_scored_though_their_day_was_settled(kept: Kept, restarts: bool) -> None:
    close: list[list[float]] = [[100.0, 101.0], [50.0, 51.0]]
    for bar in range(2, 12):
        close = [[*close[0], 100.0 + bar], [*close[1], 50.0 + bar]]
        scores = kept.fresh() if restarts else kept.scores
        for place, one in enumerate(both(kept, close)):
            if place and bar < 6:
                continue  # its first forecasts are of a day that the other set has settled
            kept.records.append("stock_1d", [row(bar - 2 * place, 1, place)])
            scores.resolve(one)
        assert scores.give_up(both(kept, close), complete=True) == 0
    lines = kept.lines()
    assert sum(one["instrument"] == NAMES[1] for one in lines) == 5
    assert sum(one["instrument"] == NAMES[0] for one in lines) == 9
    assert len(lines) == len({(one["instrument"], one["as_of"]) for one in lines})
    assert sorted(scores._days) == [lines_day(9), lines_day(11)]


def test_a_file_of_days_of_an_earlier_version_is_read_and_what_it_missed_is_scored(kept: Kept) -> None:
    close = [[100.0 + i % 3 for i in range(9)], [50.0] * 9]
    kept.records.append("stock_1d", [row(bar) for bar in range(9)])
    assert kept.scores.resolve(window(close)) == 8
    path = kept.folder / "stock_1d/scores/settled.json"
    before = json.loads(path.read_text())["before"]
    path.write_text(json.dumps({"before": before}))
    kept.records.append("stock_1d", [row(2, 1, 1)])
    fresh = kept.fresh()
    assert fresh.resolve(window(close)) == 1
    assert len(json.loads(path.read_text())["sizes"]) == 8
    assert fresh.recent()[0]["scored"] == 9


def test_what_can_never_be_scored_holds_no_day_open(kept: Kept) -> None:
    """An as-of bar that was withdrawn, an instrument that left, a horizon that reaches past what is kept."""
    close = [[100.0 + i % 3 for i in range(40)], [50.0] * 40]
    off = format_ns(START + 3 * NS_PER_DAY // 2)
    kept.records.append("stock_1d", [row(bar) for bar in range(40)])
    kept.records.append("stock_1d", [row(2, as_of=off), row(2, instrument="stock.US.GONE")])

    def at(bars: int, first: int = 0, *, complete: bool = True) -> int:
        told = window([one[:bars] for one in close])
        cut = slice(first, bars)
        told = OutcomeWindow(
            told.instruments, told.end[cut], told.available_at[cut], told.close[:, cut], told.scale[:, cut]
        )
        kept.scores.resolve(told)
        return kept.scores.give_up([told], complete=complete)

    assert at(8) == 0
    assert at(9) == 1  # six rows after the bar that was withdrawn
    assert at(24) == 0
    assert at(25, complete=False) == 0  # a set that was refused may have it
    assert at(25) == 1
    lines = kept.lines()
    assert [(one["as_of"], one["instrument"]) for one in lines if one["outcome"] is None] == [
        (off, NAMES[0]),
        (format_ns(START + 2 * NS_PER_DAY), "stock.US.GONE"),
    ]
    assert all(one["loss"] is None and one["known_at"] for one in lines if one["outcome"] is None)
    assert json.loads((kept.folder / "stock_1d/scores/settled.json").read_text())["before"] == lines_day(24)
    kept.records.append("stock_1d", [row(26, instrument="stock.US.GONE")])
    assert at(40, 20, complete=False) == 0
    assert at(40, 30, complete=False) == 1  # not even the window of a set that comes back would hold it


def lines_day(bar: int) -> str:
    return format_ns(START + bar * NS_PER_DAY)[:10]
