"""``[exits]`` and ``[costs]`` of the settings file: read, refused, recorded, and felt by a backtest."""

from __future__ import annotations

from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path

import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.engine.settings import PipelineSettings
from foresail.engine.trading_settings import CostChoice, ExitChoice, trading_of_plain
from foresail.execution.costs import default_costs
from foresail.service.settings import Overrides, default_settings, read_settings

BASE = default_settings("1d", 252.0)


def read(folder: Path, text: str) -> PipelineSettings:
    path = folder / "foresail.toml"
    path.write_text(f"version = 1\n{text}", encoding="utf-8")
    return read_settings(BASE, path, Overrides())


def test_both_tables_are_read_and_part_of_the_record(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '[exits]\ntarget = "ratio"\nmay_exceed = true\n[costs]\ncommission = 0.001\nspread_legs = 1\nmultiple = 3\n',
    ).trading
    assert found.exits == ExitChoice(target="ratio", may_exceed=True)
    assert found.costs == CostChoice(commission=0.001, spread_legs=1, multiple=3.0)
    assert trading_of_plain(asdict(found)) == found
    assert asdict(found)["costs"]["commission"] == 0.001
    old = {key: value for key, value in asdict(found).items() if key not in ("exits", "costs")}
    assert trading_of_plain(old).exits.target == "ratio"  # a record of before there was a choice


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[exits]\ntargets = 1\n", UnknownNameError),
        ('[exits]\ntarget = "p50"\n', UnknownNameError),
        ("[exits]\nmay_exceed = 1\n", ConfigError),
        ("[costs]\nfee = 1\n", UnknownNameError),
        ('[costs]\nmodel = "free"\n', UnknownNameError),
        ("[costs]\nslippage = -0.1\n", ConfigError),
        ("[costs]\nspread_legs = 2.0\n", ConfigError),
        ('[costs]\nmodel = "flat"\ncommission = 0.001\n', ConfigError),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(tmp_path, text)


def test_what_is_set_changes_that_and_no_more() -> None:
    stocks, forex = default_costs(AssetClass.STOCK), default_costs(AssetClass.FOREX)
    assert CostChoice().applied(stocks) is stocks
    assert CostChoice(commission=0.001).applied(stocks) == replace(stocks, commission_fraction=Decimal("0.001"))
    assert CostChoice(spread_legs=1, major_pips=0.5, borrow_per_year=0.02).applied(forex) == replace(
        forex, spread_legs=1, major_pips=Decimal("0.5"), borrow_per_year=Decimal("0.02")
    )
    flat = CostChoice(model="flat", factor=2).applied(stocks)
    assert (flat.slippage_fraction, flat.regulatory, flat.factor) == (Decimal("0.00025"), False, Decimal(2))
