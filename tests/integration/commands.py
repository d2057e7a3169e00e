"""The ``foresail`` command in a process of its own, and what its run folder promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, hash_file
from foresail.service.runfolder import RunReader

COMMAND = (sys.executable, "-m", "foresail.cli")


@dataclass(frozen=True)
class Called:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def foresail(*arguments: object, cwd: Path, **environment: str) -> Called:
    """Run a command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Called(done.returncode, done.stdout, done.stderr)


def promised(run: Path) -> dict[str, bytes]:
    """Return the promised files of a run by name; the reader has compared each with its hash."""
    return {name: (run / name).read_bytes() for name in sorted(RunReader(run).promised)}


def differing(first: Path, second: Path) -> list[str]:
    """Return the promised files in which two runs differ."""
    one, two = promised(first), promised(second)
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def forge(run: Path, name: str, content: bytes) -> None:
    """Change a file of a run and the listing that would give the change away."""
    (run / name).write_bytes(content)
    listing = json.loads((run / "complete").read_bytes())
    listing["files"][name] = {"bytes": len(content), "sha256": hash_file(run / name)}
    (run / "complete").write_bytes(canonical_bytes(listing))
