"""The contract of all commands: one JSON document, progress on stderr, exit codes, errors with what to type next."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from foresail.cli import contract
from foresail.cli.main import app
from foresail.core import errors

EXAMPLES = Path(__file__).parents[3] / "examples"
HEAVY = {"lightgbm", "numba", "pandas", "pyarrow", "sklearn", "torch", "yfinance", "exchange_calendars", "jinja2"}
BARS = """date,ticker,open,high,low,close,volume
2024-01-02,AAA,9,10,9,9.5,100
2024-01-03,AAA,10,11,9,10.5,100
2024-01-04,AAA,10,9,11,10.5,100
2024-01-05,AAA,10,11,9,oops,100
2024-01-08,AAA,10,11,9,10.6,100
"""


def returns_file(path="returns.csv", rows=300):
    days = (date(2020, 1, 1) + timedelta(days=n) for n in range(rows))
    body = "".join(f"{day},{0.01 if n % 3 else -0.015},{0.004 if n % 2 else -0.004}\n" for n, day in enumerate(days))
    Path(path).write_text("date,return,benchmark\n" + body)
    return path


def document(called):
    """Return the one document on stdout; anything before or after it fails."""
    assert called.out.endswith("}\n")
    return json.loads(called.out)


# --- one JSON document, also on failure ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["doctor"], 0),
        (["init", "."], 0),
        (["new", "strategy", "mine"], 0),
        (["judge", "returns.csv", "--trials", "3"], 0),
        (["import", "bars.csv", "--name", "mine"], 0),
        (["import", "bars.csv", "--describe"], 0),
        (["leaks", EXAMPLES / "clean_twin.py"], 0),
        (["leaks", EXAMPLES / "leaky.py"], 4),
        (["judge", "nowhere.csv", "--trials", "3"], 2),
        (["judge", "returns.csv"], 2),
        (["judge", "returns.csv", "--trials", "none"], 2),
        (["judge", "bars.csv", "--trials", "1"], 3),
        (["import", "nowhere.csv"], 3),
        (["new", "strategy", "Not A Name"], 2),
        (["new", "nonsense"], 2),
        (["fetch"], 2),
        (["fetch", "--symbols", "SAP.DE"], 2),
        (["fetch", "--universe", "dax"], 2),
        (["nonsense"], 2),
        (["doctor", "--nonsense"], 2),
        (["run"], 2),
    ],
)
def test_exactly_one_document_and_the_exit_code(foresail, arguments, code):
    returns_file()
    Path("bars.csv").write_text(BARS)
    called = foresail(*arguments, "--json")
    assert called.code == code
    found = document(called)
    if code in (0, 4):
        assert "error" not in found
    else:
        assert found["exit_code"] == code
        assert found["error"]
        assert found["text"]
        assert called.err.strip()


def test_without_json_the_text_goes_to_stdout_and_errors_to_stderr(foresail):
    fine, wrong = foresail("doctor"), foresail("import", "nowhere.csv")
    assert fine.out.startswith("Foresail ")
    assert fine.err == ""
    assert wrong.out == ""
    assert "foresail: nowhere.csv does not exist" in wrong.err
    assert "next: give a Parquet or CSV file" in wrong.err


def test_an_error_names_file_row_and_column(foresail):
    hours = "".join(f"2024-01-02 {hour}:00,1,1,1,1,EURUSD\n" for hour in (10, 11, 12))
    Path("h.csv").write_text("time,open,high,low,close,symbol\n" + hours)
    called = foresail("import", "h.csv", "--json")
    found = document(called)
    assert (called.code, found["file"], found["row"], found["column"], found["rule"][:5]) == (
        3,
        "h.csv",
        1,
        "time",
        "DATA-",
    )
    assert "h.csv, row 1, column 'time'" in found["text"]
    assert "--timezone" in found["hint"]
    for word in ("h.csv", "row 1", "'time'", "next: say which: --timezone"):
        assert word in called.err


def test_an_unknown_name_lists_the_known_ones(foresail):
    found = document(foresail("judge", returns_file(), "--trials", "1", "--kind", "freq", "--json"))
    assert found["error"] == "UnknownNameError"
    assert "freqtrade" in found["known"]
    assert "Did you mean 'freqtrade'?" in found["text"]


def test_an_unknown_option_is_told_with_its_neighbour(foresail):
    called = foresail("leaks", "x.py", "--sed", "3")
    assert called.code == 2
    assert called.out == ""
    assert "--seed" in called.err


def test_help_and_version(foresail):
    for arguments in (["--help"], ["--version"], ["run", "--help"], ["new", "--help"]):
        called = foresail(*arguments)
        assert called.code == 0
        assert called.out.strip()
    assert foresail().code == 2


def test_help_of_every_command_loads_no_heavy_library():
    names = [command.name for command in app.registered_commands]
    script = (
        "import sys\nfrom foresail.cli.main import main\n"
        f"for words in {[[n] for n in names] + [['new', 'strategy'], []]}:\n"
        "    sys.argv = ['foresail', *words, '--help']\n"
        "    try:\n        main()\n    except SystemExit as e:\n        assert e.code == 0, words\n"
        "print('LOADED', *sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split("LOADED")[1].split())
    assert len(names) >= 10
    assert sorted(loaded & HEAVY) == []


# --- exit codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.UnknownNameError("x", "y", ["z"]), 2),
        (errors.CapabilityError("x"), 2),
        (errors.UserError("x"), 2),
        (errors.DataError("x"), 3),
        (errors.GapError("x"), 3),
        (errors.StaleDataError("x"), 3),
        (errors.NotFittedError("x"), 3),
        (errors.LookAheadError("x"), 4),
        (errors.IntegrityError("x"), 4),
        (errors.MalformedPayloadError("x", venue="yahoo"), 4),
    ],
)
def test_the_exit_code_of_each_error(error, code):
    assert contract.exit_code_of(error) == code


def leave(work, *, as_json, capsys):
    with pytest.raises(SystemExit) as left:
        contract.execute(work, as_json=as_json)
    return left.value.code, *capsys.readouterr()


def test_a_defect_of_ours_is_told_as_one(capsys):
    def work():
        raise ZeroDivisionError("oh")

    code, out, err = leave(work, as_json=True, capsys=capsys)
    assert code == 4
    assert json.loads(out)["error"] == "IntegrityError"
    assert "Traceback" in err
    assert "defect of Foresail" in err


@pytest.mark.parametrize("value", [float("inf"), object()])
def test_a_document_that_is_no_json_never_leaves_half(capsys, value):
    code, out, _ = leave(lambda: ({"a": 1, "b": value}, [], 0), as_json=True, capsys=capsys)
    assert code == 4
    assert json.loads(out)["error"] == "IntegrityError"


def test_an_undefined_figure_is_null(capsys):
    code, out, _ = leave(lambda: ({"sharpe": float("nan")}, [], 0), as_json=True, capsys=capsys)
    assert (code, json.loads(out)) == (0, {"sharpe": None})


def test_a_verdict_of_no_evidence_is_still_exit_0(foresail):
    found = document(foresail("judge", returns_file(rows=60), "--trials", "50", "--json"))
    assert found["verdict"]["word"] != "evidence"


def test_ctrl_c_gives_130_and_one_document(tmp_path):
    mark = tmp_path / "started"
    (tmp_path / "slow.py").write_text(
        "import time, pathlib\napi = 1\nid = 'me/slow@1'\n"
        f"def weights(bars):\n    pathlib.Path({str(mark)!r}).touch()\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "foresail.cli", "leaks", "slow.py", "--json"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if mark.exists() or running.poll() is not None:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130, err
    assert json.loads(out)["exit_code"] == 130
    assert "interrupted" in err
    assert "Traceback" not in err


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    command = [
        sys.executable,
        "-c",
        "import time; time.sleep(0.5); from foresail.cli.main import main; main()",
        "doctor",
    ]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.close()
    assert running.wait(timeout=20) == 0
    assert running.stderr.read() == ""
    running.stderr.close()


# --- commands --------------------------------------------------------------------------------------------------------


def test_leaks_names_the_line_and_its_clean_twin_passes(foresail):
    leaky = foresail("leaks", EXAMPLES / "leaky.py", "--json")
    assert leaky.code == 4
    (leak,) = document(leaky)["leaks"]
    assert leak["line"] == 12
    assert leak["column"] == "close"
    assert leak["time"]
    assert "center=True" in leak["source_line"]
    told = foresail("leaks", EXAMPLES / "leaky.py")
    assert told.out.count("line 12") == 1
    assert foresail("leaks", EXAMPLES / "clean_twin.py").code == 0


def test_leaks_of_a_broken_file_is_a_sentence(foresail):
    Path("broken.py").write_text("def weights(bars)\n    return 1\n")
    called = foresail("leaks", "broken.py")
    assert called.code == 2
    assert "broken.py" in called.err
    assert "line 1" in called.err
    assert "Traceback" not in called.err


def test_judge_declarations_reach_the_verdict(foresail):
    path = returns_file()
    plain = document(foresail("judge", path, "--trials", "3", "--json"))
    told = document(
        foresail(
            *("judge", path, "--trials", "3", "--universe", "point_in_time", "--price-basis", "total_return"),
            *("--bars-per-year", "252", "--kind", "returns", "--json"),
        )
    )
    assert (plain["bars_per_year"], told["bars_per_year"]) == (365.0, 252.0)
    assert any("names were chosen" in reason for reason in plain["verdict"]["reasons"])
    assert not any("names were chosen" in reason for reason in told["verdict"]["reasons"])
    Path("alone.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in Path(path).read_text().splitlines()))
    against_zero = document(foresail("judge", "alone.csv", "--trials", "1", "--json"))
    fair = document(foresail("judge", "alone.csv", "--trials", "1", "--zero-is-fair", "--json"))
    blame = "a rising market looks like skill"
    assert any(blame in reason for reason in against_zero["verdict"]["reasons"])
    assert not any(blame in reason for reason in fair["verdict"]["reasons"])


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--universe", "today", "point_in_time, hindsight, unknown"),
        ("--price-basis", "adjusted", "split_adjusted"),
        ("--bars-per-year", "0", "above 0"),
        ("--bars-per-year", "inf", "finite"),
        ("--trials", "0", "1"),
        ("--kind", "trades", "backtesting"),
    ],
)
def test_judge_refuses_a_declaration_it_does_not_know(foresail, option, value, words):
    arguments = ["judge", returns_file(), option, value]
    called = foresail(*arguments, *([] if option == "--trials" else ["--trials", "1"]))
    assert called.code == 2
    assert words in called.err


def test_import_tells_rows_set_aside_and_describe_can_be_saved(foresail):
    Path("bars.csv").write_text(BARS)
    foresail("init", ".")
    told = foresail("import", "bars.csv", "--name", "mine")
    assert told.code == 0
    assert "received 5 rows, accepted 3, set aside 2, equal repeats 0" in told.out
    assert "bars.csv, 3, high, DATA-52" in told.out
    assert "bars.csv, 4, close, DATA-51" in told.out
    proposed = foresail("import", "bars.csv", "--describe")
    Path("foresail-set.toml").write_text(proposed.out)
    assert foresail("import", ".", "--name", "again").code == 0


def test_new_strategy_exists_only_once(foresail):
    assert foresail("new", "strategy", "mine", "--frame", "4h").code == 0
    assert 'view.bars("4h", 21)' in Path("mine.py").read_text()
    again = foresail("new", "strategy", "mine")
    assert again.code == 2
    assert "mine.py exists" in again.err
    assert "--force" in again.err
    assert foresail("new", "strategy", "mine", "--force").code == 0
    assert 'view.bars("1d", 21)' in Path("mine.py").read_text()


def test_a_folder_that_cannot_be_written_is_a_sentence(foresail):
    Path("file").write_text("")
    for target in ("file/inside", "/proc/nowhere") if Path("/proc/self").exists() else ("file/inside",):
        called = foresail("init", target)
        assert called.code == 2, called.err
        assert "cannot be" in called.err
        assert "next:" in called.err
        assert "Traceback" not in called.err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_sentence(foresail, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert foresail("init", closed).code == 2


def test_progress_of_a_command_goes_to_stderr(foresail, monkeypatch):
    from foresail.core.errors import DataError
    from foresail.service import fetching

    def told(_request, *, progress):
        progress("fetching from Yahoo", 1, 1)
        raise DataError("none of 1 symbols gave a bar")

    monkeypatch.setattr(fetching, "fetch_set", told)
    called = foresail("fetch", "--symbols", "AAPL", "--json")
    assert called.code == 3
    assert document(called)["error"] == "DataError"
    assert "fetching from Yahoo" in called.err
