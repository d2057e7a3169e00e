"""One way to call the command as a user does: arguments in; exit code, stdout and stderr out."""

import sys
from dataclasses import dataclass

import pytest

from foresail.cli.main import main


@dataclass
class Called:
    code: int
    out: str
    err: str


@pytest.fixture
def foresail(monkeypatch, capsys, tmp_path):
    """Return a caller that works in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["foresail", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return Called(left.value.code, out, err)

    return call
