"""The reference page is the code's."""

from __future__ import annotations

from pathlib import Path

from foresail.domain.schemas import DOCUMENTS, TABLES
from foresail.reporting.reference import run_folder_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "run-folder.md"


def test_the_committed_page_equals_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == run_folder_page(), (
        "rewrite it: python -m foresail.reporting.reference > docs/reference/run-folder.md"
    )


def test_every_column_has_type_and_meaning_and_keys_exist() -> None:
    for table in TABLES.values():
        names = [c.name for c in table.columns]
        assert len(set(names)) == len(names)
        assert set(table.key) <= set(names)
        for column in table.columns:
            assert column.type in {"string", "int64", "double", "bool"}
            assert column.meaning
            assert column.unit or column.type in {"string", "bool"}, (table.name, column.name)


def test_file_names_are_unique() -> None:
    names = [d.file for d in DOCUMENTS] + [t.file for t in TABLES.values()]
    assert len(set(names)) == len(names)
