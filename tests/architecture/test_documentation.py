"""The documents keep to the code: citations are listed, links lead somewhere, keys and examples exist."""

from __future__ import annotations

import re

import pytest
from house_sources import ROOT, sources

from foresail.adapters.files.description import KEYS, QUIRK_KEYS, ROLES
from foresail.reporting.caveats import CAVEATS

CITATION = re.compile(r"\[([A-Z][A-Za-z]+[0-9]{4}[a-z]?)\]")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))


def test_every_citation_is_listed_and_every_reference_is_cited() -> None:
    cited = {key for text in sources().values() for key in CITATION.findall(text)}
    listed = re.findall(r"^- \*\*\[(\w+)\]\*\*", (ROOT / "docs" / "REFERENCES.md").read_text(encoding="utf-8"), re.M)
    assert cited
    assert sorted(set(listed)) == listed, "in alphabetical order, each once"
    assert cited == set(listed)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_pictures_exist(page) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_key_of_a_set_is_explained() -> None:
    page = (ROOT / "docs" / "guide" / "own-data.md").read_text(encoding="utf-8")
    assert [key for key in (*KEYS, *QUIRK_KEYS, *ROLES) if f"`{key}`" not in page] == []


def test_the_readme_shows_the_examples_as_they_are_and_every_warning() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) == 2
    for name, block in zip(("ten_lines.py", "momentum_weights.py"), blocks, strict=True):
        assert (ROOT / "examples" / name).read_text(encoding="utf-8").endswith(block), name
    assert [c.id for c in CAVEATS if c.id not in readme] == []
