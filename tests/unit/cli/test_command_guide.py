"""docs/guide/commands.md says what the application has: commands, options, examples that parse, exit codes."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from foresail.cli import contract
from foresail.cli.main import app

GUIDE = (Path(__file__).parents[3] / "docs" / "guide" / "commands.md").read_text(encoding="utf-8")
SECTIONS = {
    m[1]: m[2] for m in re.finditer(r"^## foresail ([a-z ]+)\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE)
}
CODES = {getattr(contract, name) for name in contract.__all__ if name.startswith("EXIT_")}


def commands():
    """Return path -> command of everything that can be called."""
    found = {}
    for name, command in get_command(app).commands.items():
        for sub, its in getattr(command, "commands", {"": command}).items():
            found[f"{name} {sub}".strip()] = its
    return found


def options(command):
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def test_the_guide_has_every_command_and_no_other():
    assert sorted(SECTIONS) == sorted(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_options_are_those_of_the_command(name):
    line = re.search(r"^Options: (.*)\.$", SECTIONS[name], re.MULTILINE)
    assert sorted(re.findall(r"--[a-z-]+", line[1])) == sorted(options(commands()[name]) - {"--help"})
    shared = {"--version", "--help"}
    assert set(re.findall(r"`(--[a-z-]+)", SECTIONS[name])) <= options(commands()[name]) | shared


@pytest.mark.parametrize("name", sorted(commands()))
def test_examples_parse(name):
    lines = re.findall(rf"^\$ foresail {name}\b(.*)$", SECTIONS[name], re.MULTILINE)
    assert lines
    for line in lines:
        arguments = shlex.split(line.split(" > ")[0])
        commands()[name].make_context(name, arguments)  # raises on what the command does not know


@pytest.mark.parametrize("name", sorted(commands()))
def test_exit_codes_are_told_and_known(name):
    told = re.search(r"^Exit codes: (.*)$", SECTIONS[name], re.MULTILINE)
    codes = {int(part.split()[0].rstrip(".")) for part in told[1].rstrip(".").split(";")[1:]} | {0}
    assert told[1].startswith("0")
    assert codes <= CODES
    assert len(codes) > 1


def test_the_table_of_exit_codes_is_complete():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", GUIDE, re.MULTILINE)} == CODES


def test_every_command_has_the_common_options():
    for name, command in commands().items():
        assert "--json" in options(command), name
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), (name, parameter.name)
