"""Trading as calls from Python: ``foresail.backtest``, ``paper``, ``read_ledger``, ``kill``, ``parity`` and others.

Each asks the use case of the command of the same name (``read_ledger`` that of ``ledger show``: ``foresail.ledger`` is
a package already) and hands back figures, tables and the text of the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresail.core.errors import UnknownNameError
from foresail.protocols import Progress
from foresail.service.accounts import asked_stream
from foresail.service.backtest import run_strategy_backtest
from foresail.service.kill import kill_account
from foresail.service.ledger import LedgerRequest, rebuild_tables, show_ledger, tables_of
from foresail.service.ledger_tables import TABLES
from foresail.service.limits import LimitsRequest, show_limits
from foresail.service.money import move_money as pay
from foresail.service.monitor import gate_account
from foresail.service.outcome import Outcome
from foresail.service.paper import PaperRequest, paper_status, start_paper, stop_paper
from foresail.service.parity import parity_report
from foresail.service.sleeves import parse_strategies
from foresail.service.stream import StreamRequest

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BacktestResult",
    "LedgerView",
    "TradingReport",
    "backtest",
    "kill",
    "limits",
    "move_money",
    "paper",
    "parity",
    "read_ledger",
    "rebuild",
]

_TIMES = ("at", "timestamp", "decided_at", "opened_at", "closed_at")  # columns that hold ns UTC


@dataclass(frozen=True, slots=True, repr=False)
class TradingReport:
    """What a command on an account came to; ``print`` shows its screen.

    Attributes
    ----------
    figures : everything that the command prints with ``--json``
    is_good : the command ends with exit code 0
    text : the screen
    """

    figures: Mapping[str, Any]
    is_good: bool
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}(is_good={self.is_good}, {len(self.figures)} figures)"


@dataclass(frozen=True, slots=True, repr=False)
class LedgerView(TradingReport):
    """A journal.

    Attributes
    ----------
    request : which one
    """

    request: LedgerRequest

    def table(self, name: str) -> pd.DataFrame:
        """Return entries, orders, executions, equity, trades or positions, made anew from the journal.

        Money and quantities are exact text, times UTC dates.

        Raises
        ------
        UnknownNameError
            If there is no such table.
        """
        return _table(self.request, name)

    def figures_by(self, group: str, *, zone: str = "UTC") -> pd.DataFrame:
        """Return results by strategy, side, sector, class, hour, instrument, signal or model: ``ledger figures``.

        Parameters
        ----------
        group : what trades are grouped by
        zone : of the hours

        Raises
        ------
        UnknownNameError
            If there is no such group.
        """
        return _figures(self.request, group, zone)


@dataclass(frozen=True, slots=True, repr=False)
class BacktestResult(TradingReport):
    """A backtest of a strategy.

    Attributes
    ----------
    out : folder with ``backtest.json`` and ``journal/``
    fingerprint : of what went in and of everything that was journalled
    """

    out: Path
    fingerprint: str

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of its journal, as ``LedgerView.table``.

        Raises
        ------
        UnknownNameError
            If there is no such table.
        """
        return _table(LedgerRequest(journal=self.out / "journal"), name)

    def figures_by(self, group: str, *, zone: str = "UTC") -> pd.DataFrame:
        """Return results by group, as ``LedgerView.figures_by``.

        Parameters
        ----------
        group : what trades are grouped by
        zone : of the hours

        Raises
        ------
        UnknownNameError
            If there is no such group.
        """
        return _figures(LedgerRequest(journal=self.out / "journal"), group, zone)


def backtest(
    bars: str | Path,
    strategy: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    until: str | None = None,
    capital: str | None = None,
    profile: str | None = None,
    names: int | None = None,
    timezone: str | None = None,
    slices: str = "",
    book: str | Path | Sequence[str | Path] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> BacktestResult:
    """Run a strategy over history with costs and risk limits, and keep its journal: ``foresail backtest``.

    Parameters
    ----------
    bars : file, folder with ``foresail-set.toml``, or the name of an imported set
    strategy : file, searched for leaks first; several share the account, equally or as "FILE=SHARE" says
    out : folder to write; None = ``runs/backtest-<set>-<hash>``
    until : "2015-12-31": nothing available after the end of that day, UTC
    capital : for example "100000 USD"
    profile : of the risk limits
    names : only the first so many instruments, by id
    timezone : of times that carry none
    slices : how large orders leave, for example "twap:6:1h"; empty = at once
    book : recorded order books on which orders are filled: a file, or "INSTRUMENT=FILE"
    force : replace an existing folder
    progress : called with stage, steps done, steps in all

    Raises
    ------
    ForesailError
        If the request, the data or the strategy cannot be used.
    """
    first, sleeves = parse_strategies(_texts(strategy))
    request = StreamRequest(
        str(bars), first, until=until, timezone=timezone, capital=capital, profile=profile, names=names,
        sleeves=sleeves, slices=slices, books=_texts(book),
    )  # fmt: skip
    target = None if out is None else Path(out)
    outcome = run_strategy_backtest(request, out=target, force=force, progress=progress or _silent)
    told = outcome.document
    return BacktestResult(*_report(outcome), out=Path(told["run"]), fingerprint=told["fingerprint"])


def paper(
    command: str = "status",
    *,
    account: str = "paper",
    bars: str | Path | None = None,
    strategy: str | Path | Sequence[str | Path] | None = None,
    speed: str = "max",
    until: str | None = None,
    capital: str | None = None,
    profile: str | None = None,
    names: int | None = None,
    timezone: str | None = None,
    slices: str = "",
    book: str | Path | Sequence[str | Path] = (),
    snapshot_every: int = 1000,
    confirm_limits: str | None = None,
    follow: float | None = None,
    progress: Progress | None = None,
) -> TradingReport:
    """Trade on paper, or say how an account stands: ``foresail paper start | status | gate | stop``.

    Parameters
    ----------
    command : "start" runs the account in this process until its bars end or a signal comes; "status"; "gate"; "stop"
    account : name in this workspace
    bars, strategy : of a new account, both; of one that exists, neither
    speed : "max", or times the bars' own time, for example "60x"
    until, capital, profile, names, timezone, slices, book : as in ``backtest``
    snapshot_every : events between snapshots
    confirm_limits : who lets a change of the settings hold that loosens limits; it is journalled
    follow : go on with newly stored bars, looked for every so many seconds; None = end with those that are there
    progress : as in ``backtest``

    Raises
    ------
    ForesailError
        If there is no such command or account, or the account trades something else.
    """
    commands: dict[str, Callable[[str], Outcome]] = {
        "gate": gate_account,
        "status": partial(paper_status, is_measured=True),
        "stop": stop_paper,
    }
    if command in commands:
        return TradingReport(*_report(commands[command](account)))
    if command != "start":
        raise UnknownNameError("paper command", command, ("start", *commands))
    stream = asked_stream(
        None if bars is None else str(bars), () if strategy is None else _texts(strategy), until=until, capital=capital,
        profile=profile, names=names, timezone=timezone, slices=slices, books=_texts(book),
    )  # fmt: skip
    request = PaperRequest(
        account, stream, speed=speed, snapshot_every=snapshot_every, confirm_limits=confirm_limits, follow_s=follow
    )
    return TradingReport(*_report(start_paper(request, progress=progress or _silent)))


def read_ledger(
    account: str | None = None, *, journal: str | Path | None = None, last: int = 20, kind: str | None = None
) -> LedgerView:
    """Tell what a journal holds: ``foresail ledger show``.

    Parameters
    ----------
    account : name in this workspace
    journal : a journal folder or file, instead of an account
    last : so many of the newest entries
    kind : only entries of this kind, for example "FillBooked"

    Raises
    ------
    ForesailError
        If there is no such journal, or it is damaged.
    """
    request = _ledger(account, journal)
    return LedgerView(*_report(show_ledger(request, last=last, kind=kind)), request=request)


def rebuild(
    account: str | None = None, *, journal: str | Path | None = None, out: str | Path | None = None
) -> TradingReport:
    """Write orders, executions, equity, trades and positions again from a journal: ``foresail rebuild``.

    Parameters
    ----------
    account, journal : as in ``read_ledger``
    out : folder; None = ``tables/`` of the account

    Raises
    ------
    ForesailError
        If there is no such journal, it is damaged, or the folder is not one of tables.
    """
    outcome = rebuild_tables(_ledger(account, journal), out=None if out is None else Path(out))
    return TradingReport(*_report(outcome))


def kill(
    account: str, operator: str, *, close: bool = False, rearm: bool = False, only: str | None = None
) -> TradingReport:
    """Stop an account from opening anything and cancel its orders, journalled first: ``foresail kill``.

    Parameters
    ----------
    account : name in this workspace
    operator : who says so; it is journalled
    close : also close every position
    rearm : lift the latch instead
    only : the one instrument, or strategy of several, that is halted or resumed

    Raises
    ------
    ForesailError
        If there is no such account, nobody is named, or its process does not take the command.
    """
    return TradingReport(*_report(kill_account(account, operator, closes=close, rearms=rearm, only=only)))


def move_money(account: str, amount: str, operator: str, *, withdraw: bool = False) -> TradingReport:
    """Pay money into a paper account or take it out: ``foresail paper deposit`` and ``withdraw``.

    Parameters
    ----------
    account : name in this workspace
    amount : for example "5000 USD"
    operator : who says so; it is journalled
    withdraw : take it out

    Raises
    ------
    ForesailError
        If there is no such account, the amount is none, or less may go.
    """
    return TradingReport(*_report(pay(account, amount, operator, withdraws=withdraw)))


def limits(
    profile: str | None = None, *, config: str | Path | None = None, asset_class: str = "stock"
) -> TradingReport:
    """Tell every risk limit with its value and where it comes from: ``foresail limits``.

    Parameters
    ----------
    profile : None = of the settings
    config : settings file; None = that of the workspace
    asset_class : stock, crypto or forex

    Raises
    ------
    ForesailError
        If there is no such profile or class, or the settings cannot be used.
    """
    request = LimitsRequest(profile, None if config is None else Path(config), asset_class)
    return TradingReport(*_report(show_limits(request)))


def parity(account: str, *, progress: Progress | None = None) -> TradingReport:
    """Replay an account's period through history and name the cause of every difference: ``foresail parity``.

    Parameters
    ----------
    account : name in this workspace
    progress : as in ``backtest``

    Raises
    ------
    ForesailError
        If there is no such account, or its bars cannot be used.
    """
    return TradingReport(*_report(parity_report(account, progress=progress or _silent)))


def _texts(given: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return (str(given),) if isinstance(given, str | Path) else tuple(str(one) for one in given)


def _report(outcome: Outcome) -> tuple[Mapping[str, Any], bool, str]:
    return outcome.document, outcome.exit_code == 0, "\n".join(outcome.lines)


def _ledger(account: str | None, journal: str | Path | None) -> LedgerRequest:
    return LedgerRequest(account, None if journal is None else Path(journal))


def _table(request: LedgerRequest, name: str) -> pd.DataFrame:
    import pandas as pd

    if name not in TABLES:
        raise UnknownNameError("table of a journal", name, TABLES)
    frame = pd.DataFrame(tables_of(request).rows[name])
    for column in _TIMES:
        if column in frame.columns:
            frame[column] = pd.to_datetime(frame[column], unit="ns", utc=True)
    return frame


def _figures(request: LedgerRequest, group: str, zone: str) -> pd.DataFrame:
    import pandas as pd

    from foresail.service.ledger_figures import show_figures

    rows = show_figures(request, by=group, zone=zone).document["groups"]
    return pd.DataFrame(rows).set_index("group") if rows else pd.DataFrame()


def _silent(stage: str, done: int, total: int) -> None:
    """Say nothing: a library is quiet unless asked."""
    del stage, done, total
