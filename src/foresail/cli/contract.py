"""The one contract of all commands: what goes to stdout and stderr, and what the exit code means.

- ``--json`` puts exactly one JSON document on stdout, also when the command fails.
- Progress and log go to stderr: a live bar on a terminal, else a line every 10 s.
- Exit codes: 0 done whatever the verdict, 2 usage, 3 data refused, 4 invalid run or verify differs, 5 inputs of verify
  missing, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from foresail.core.canonical import plain
from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import DataError, ForesailError, IntegrityError, LookAheadError, ModelError, UserError

__all__ = [
    "EXIT_DATA",
    "EXIT_DONE",
    "EXIT_INTERRUPTED",
    "EXIT_INVALID",
    "EXIT_MISSING",
    "EXIT_USAGE",
    "Progress",
    "execute",
    "exit_code_of",
    "leave_interrupted",
    "refuse_usage",
]

EXIT_DONE, EXIT_USAGE, EXIT_DATA, EXIT_INVALID, EXIT_MISSING, EXIT_INTERRUPTED = 0, 2, 3, 4, 5, 130
_LINE_EVERY_S = 10.0
_BAR_EVERY_S = 0.2


class Progress:
    """Tells how far long work is: stage, share, rate and time left, on stderr."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._terminal = sys.stderr.isatty()
        self._stage = ""
        self._stage_since = 0.0
        self._last = float("-inf")
        self._width = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` steps of a stage are finished."""
        now = self._clock.monotonic_s()
        fresh = stage != self._stage
        if fresh:
            self._stage, self._stage_since = stage, now
        pause = _BAR_EVERY_S if self._terminal else _LINE_EVERY_S
        if not fresh and now - self._last < pause and done < total:
            return
        self._last = now
        spent = now - self._stage_since
        share = done / total if total else 1.0
        rate = done / spent if spent > 0 else 0.0
        left = f"{(total - done) / rate:.0f} s left" if rate > 0 and done < total else ("done" if done >= total else "")
        text = f"{stage:<28} {done}/{total} ({share:.0%})" + (f"  {rate:.1f}/s  {left}" if done else "")
        if self._terminal:
            cells = int(share * 24)
            line = f"[{'#' * cells}{'.' * (24 - cells)}] {text}"
            sys.stderr.write("\r" + line.ljust(self._width) + ("\n" if done >= total else ""))
            self._width = len(line)
        elif fresh or done >= total or spent >= _LINE_EVERY_S:
            sys.stderr.write(text.rstrip() + "\n")
        sys.stderr.flush()

    def note(self, text: str) -> None:
        """Say one sentence on stderr."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def exit_code_of(error: ForesailError) -> int:
    """Return the exit code that an error of ours stands for."""
    if isinstance(error, LookAheadError | IntegrityError):
        return EXIT_INVALID
    if isinstance(error, DataError | ModelError):
        return EXIT_DATA
    return EXIT_USAGE if isinstance(error, UserError) else EXIT_INVALID


def _error_document(error: BaseException, code: int) -> dict[str, Any]:
    document: dict[str, Any] = {"error": type(error).__name__, "text": str(error), "exit_code": code}
    if isinstance(error, ForesailError):
        document |= {"text": error.text, "hint": error.hint}
        for name in ("file", "row", "column", "rule", "known", "line", "time"):
            value = getattr(error, name, None)
            if value is not None:
                document[name] = plain(value)
    return document


def _write_document(document: dict[str, Any]) -> None:
    """Write the one JSON document, whole or not at all: it is text before its first letter leaves."""
    text = json.dumps(plain(document), indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fail(error: BaseException, code: int, *, as_json: bool) -> NoReturn:
    sys.stderr.write(f"foresail: {error}\n")
    if as_json:
        _write_document(_error_document(error, code))
    raise SystemExit(code)


def refuse_usage(text: str, *, as_json: bool) -> NoReturn:
    """Leave because the command line itself is wrong; the caller has told a person already."""
    if as_json:
        _write_document({"error": "UsageError", "text": text, "exit_code": EXIT_USAGE})
    raise SystemExit(EXIT_USAGE)


def leave_interrupted(*, as_json: bool) -> NoReturn:
    """Leave because the user pressed Ctrl-C."""
    text = "interrupted; nothing half written is kept, a repeated run resumes from the cache"
    _fail(KeyboardInterrupt(text), EXIT_INTERRUPTED, as_json=as_json)


def execute(work: Callable[[], tuple[Any, list[str], int]], *, as_json: bool) -> NoReturn:
    """Run one use case, print what it returns and leave with its exit code.

    Parameters
    ----------
    work : returns the JSON document, the lines for a person, and the exit code
    """
    try:
        document, lines, code = work()
        if as_json:
            _write_document(document)
        else:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
    except ForesailError as e:
        _fail(e, exit_code_of(e), as_json=as_json)
    except KeyboardInterrupt:
        leave_interrupted(as_json=as_json)
    except BrokenPipeError:
        # The reader has left (foresail ... | head): as "Note on SIGPIPE" in the documentation of Python's signal module
        # advises, the flush at exit gets somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_DONE) from None
    except Exception as e:  # noqa: BLE001 the command line is one of three places that may catch everything
        sys.stderr.write(traceback.format_exc())
        text = f"{type(e).__name__}: {e}\n  next: this is a defect of Foresail; please report the lines above"
        _fail(IntegrityError(text), EXIT_INVALID, as_json=as_json)
    raise SystemExit(code)
