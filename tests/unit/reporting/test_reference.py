"""The reference pages are the code's."""

from __future__ import annotations

import re
from pathlib import Path

from foresail.domain.schemas import DOCUMENTS, TABLES
from foresail.features.catalogue import CATALOGUE
from foresail.service.reference import reference_pages
from foresail.service.settings import RUN_KEYS, WALK_KEYS

FOLDER = Path(__file__).parents[3] / "docs" / "reference"


def test_the_committed_pages_equal_the_generated_ones() -> None:
    pages = reference_pages()
    assert sorted(pages) == sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file())
    for name, page in pages.items():
        written = (FOLDER / name).read_text(encoding="utf-8")
        if name.endswith(".svg"):  # a rounded pixel may differ between processors
            old, new = (re.findall(r"-?\d+", text) for text in (written, page))
            assert len(old) == len(new), f"{name}: rewrite it with: make docs"
            assert max(abs(int(a) - int(b)) for a, b in zip(old, new, strict=True)) <= 1, name
        else:
            assert written == page, f"{name}: rewrite it with: make docs"


def test_every_feature_and_setting_has_a_row() -> None:
    pages = reference_pages()
    assert [name for name in CATALOGUE if f"| `{name}` |" not in pages["features.md"]] == []
    assert [key for key in (*RUN_KEYS, *WALK_KEYS) if f"| `{key}` |" not in pages["settings.md"]] == []


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
