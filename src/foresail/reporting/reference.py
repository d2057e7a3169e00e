"""The reference page of the run folder, made from ``domain.schemas``, and what all reference pages share.

So a page cannot drift from what it describes. ``service.reference`` writes them all, with the settings and the features
(``reporting.feature_reference``); a test compares the committed pages with these.
"""

from __future__ import annotations

from collections.abc import Sequence

from foresail.domain.schemas import DOCUMENTS, RUN_FORMAT, RUN_VERSION, TABLES, Document, TableSchema

__all__ = ["NOT_BY_HAND", "markdown_table", "run_folder_page"]

NOT_BY_HAND = "This page is printed from the code (`make docs`); do not edit it by hand."

_INTRODUCTION = f"""\
# The run folder

Every run leaves one folder. It is built beside its final place, under a name that starts with `.tmp-`, and moved there
when it is whole: a folder without the file `complete` was interrupted and is never read as a result.
Layout: `{RUN_FORMAT}`, version {RUN_VERSION}.

{NOT_BY_HAND}

Conventions:

- Times are int64 nanoseconds since 1970-01-01 UTC. In pandas: `pd.to_datetime(frame["end"], unit="ns", utc=True)`.
- Returns, weights and probabilities are fractions, never percent. Volatility and Sharpe ratio are annualised.
- Missing is null, never 0. "required" columns hold no null.
- Exact decimals come twice: `price` as double to compute with, `price_exact` as the text that the ledger booked.
- Rows are sorted by the key of the table. A table without any row was computed and is empty; a table that is not there
  was not computed, and the report says why.
- "promised" files are byte equal for the same inputs, code, settings, seed and library versions, whatever the machine,
  time zone and number of threads. `complete` holds one hash over all of them.
- Every Parquet file names its table and version in its metadata (`foresail.table`, `foresail.version`).

```python
from pathlib import Path
from foresail.service.runfolder import RunReader

run = RunReader(Path("runs/demo"))            # verifies every file, refuses what is damaged
print(run.json("metrics.json")["verdict"])
equity = run.table("equity").to_pandas()
```
"""


def run_folder_page() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION, _files_section()]
    parts += [_document_section(d) for d in DOCUMENTS if d.keys]
    parts += [_table_section(t) for t in TABLES.values()]
    return "\n".join(parts)


def _files_section() -> str:
    rows = [(d.file, _yes(d.promised), d.meaning) for d in DOCUMENTS]
    rows += [(t.file, "yes", t.meaning) for t in TABLES.values()]
    return markdown_table("## Files", ("file", "promised", "content"), [(f"`{a}`", b, c) for a, b, c in rows])


def _document_section(document: Document) -> str:
    rows = [(f"`{k.path}`", k.type, k.unit, _yes(k.required), k.meaning) for k in document.keys]
    return markdown_table(f"## `{document.file}`", ("key", "type", "unit", "required", "meaning"), rows)


def _table_section(table: TableSchema) -> str:
    rows = [(f"`{c.name}`", c.type, c.unit, _yes(c.required), c.meaning) for c in table.columns]
    key = ", ".join(f"`{k}`" for k in table.key)
    heading = f"## `{table.file}`\n\n{table.meaning} Version {table.version}; sorted by {key}."
    return markdown_table(heading, ("column", "type", "unit", "required", "meaning"), rows)


def _yes(value: bool) -> str:  # noqa: FBT001 a cell of a table
    return "yes" if value else ""


def markdown_table(heading: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a heading with a table under it as Markdown."""
    lines = [heading, "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
