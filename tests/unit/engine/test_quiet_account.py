"""Quiet bars of an account on disk are taken in together: the same bytes on disk as event by event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.engine.trading.quiet_account import QuietAccount
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import BreakerTripped, FillBooked, Marked
from foresail.ledger.recovery import Session, read_entries
from foresail.service.stream import Stream, StreamRequest, open_stream

BARS = 2600
STRATEGY = """
from decimal import Decimal

from foresail.domain.signals import OrderIntent, Side, Weights

api = 1
id = "test/rare@1"


class Spec:
    id, every, critical_inputs = id, EVERY, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        n, names = state["n"], sorted(view.instruments)
        if n % 7 == 3 and names:
            return [Weights(((names[n % len(names)], 0.1),))]
        if n % 7 == 5:
            return [Weights(())]
        if n % 7 == 6 and names:  # waits, filled or not
            low = Decimal(str(round(0.97 * view.value(names[0], "close"), 2)))
            return [OrderIntent(names[0], Side.BUY, Decimal(1), "limit", limit_price=low, leg="x")]
        return []
"""


def rows(seed: int) -> pd.DataFrame:
    """Two days of minutes of two coins that fall at times, some bars missing."""
    rng = np.random.default_rng(seed)
    ends = pd.date_range("2022-03-01", periods=BARS, freq="1min", tz="UTC") + pd.Timedelta("1min")
    out = []
    for ticker in ("BTCUSD", "ETHUSD"):
        close = 100 * np.exp(np.cumsum(rng.normal(-1e-4, 3e-3, BARS)))
        frame = pd.DataFrame({"time": ends.strftime("%Y-%m-%dT%H:%M:%SZ"), "ticker": ticker})
        frame["open"] = np.r_[close[0], close[:-1]]
        frame["close"], frame["volume"] = close, 1e4
        frame["high"] = frame[["open", "close"]].max(axis=1) * 1.001
        frame["low"] = frame[["open", "close"]].min(axis=1) * 0.999
        out.append(frame[rng.random(BARS) > 0.02])
    return pd.concat(out)


def stream_of(place: Path, seed: int, every: int) -> Stream:
    folder = place / "set"
    folder.mkdir()
    rows(seed).to_csv(folder / "bars.csv", index=False)
    (folder / "foresail-set.toml").write_text(
        'version = 1\nname = "minutes"\nfiles = ["bars.csv"]\nclass = "crypto"\nframe = "1m"\ntime = "end"\n'
        'price_basis = "raw"\nuniverse = "point_in_time"\n'
    )
    (place / "rare.py").write_text(STRATEGY.replace("EVERY", str(every)))
    return open_stream(StreamRequest(str(folder), place / "rare.py"), place, check_leaks=False)


def drive(stream: Stream, journal: Path, *, is_fast: bool, ends: tuple[int, ...]) -> dict[str, Any]:
    """Run an account that is killed where ``ends`` says; return its state at the end."""
    events = stream.events()
    for end in (*ends, len(events)):
        parts, link = stream.parts(account="q", environment="paper")
        rules = StreamRules(snapshot_every=400, commit_every=64, begin=stream.begin)
        run = AccountRun.open(parts, link, RealDisk(journal), Session("paper", "q", "x", "y"), rules)
        while run.applied < end:
            if not (is_fast and run.pass_quiet(events[:end])):
                run.apply(events[run.applied])
        state = {"core": run.core.to_plain(), "link": run.link.to_plain()}
        run.close()
    return state


@pytest.mark.parametrize(("seed", "every", "ends"), [(1, 30, ()), (2, 11, (700, 1903)), (3, 1, (1000,))])
def test_the_bytes_on_disk_are_those_of_single_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, every: int, ends: tuple[int, ...]
) -> None:
    passed: list[int] = []
    plain = QuietAccount.pass_through

    def counted(self: QuietAccount, first: int, last: int) -> int:
        passed.append(plain(self, first, last))
        return passed[-1]

    monkeypatch.setattr(QuietAccount, "pass_through", counted)
    stream = stream_of(tmp_path, seed, every)
    fast = drive(stream, tmp_path / "fast", is_fast=True, ends=ends)
    taken = sum(passed)
    slow = drive(stream, tmp_path / "slow", is_fast=False, ends=ends)
    assert sum(passed) == taken  # none by single events
    assert taken > BARS / 10
    assert fast == slow
    files = [sorted(one.name for one in (tmp_path / name).iterdir()) for name in ("fast", "slow")]
    assert files[0] == files[1]
    for name in files[0]:
        assert (tmp_path / "fast" / name).read_bytes() == (tmp_path / "slow" / name).read_bytes(), name
    entries = list(read_entries(RealDisk(tmp_path / "fast")))
    assert sum(isinstance(one, Marked) for one in entries) > BARS - 100  # a last group that was not committed
    assert any(isinstance(one, FillBooked) for one in entries)
    assert any(isinstance(one, BreakerTripped) for one in entries) or every > 1
