"""The registry of models: whole or not at all, versions never twice, one champion, nothing foreign."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.clock import SimulatedClock
from foresail.core.errors import ModelError, UnknownNameError, UserError
from foresail.service.models_folder import MANIFEST, verified_record, write_manifest
from foresail.service.models_registry import ModelEntry, ModelKey, ModelRegistry

KEY = ModelKey("stock", "1d", "ridge")


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path, clock=SimulatedClock(datetime(2024, 1, 2, tzinfo=UTC)))


def build(folder: Path, name: str) -> None:
    (folder / "weights").mkdir()
    (folder / "weights" / "model.json").write_text("{}\n")
    for file in ("calibration.json", "card.json", "probe.json", "scaler.json"):
        (folder / file).write_text("{}\n")
    (folder / "model.json").write_bytes(canonical_bytes({"name": name, "recipe_hash": "r" + name[-1]}))


def registered(registry: ModelRegistry, key: ModelKey = KEY) -> ModelEntry:
    return registry.register(key, build)


def test_names_follow_the_scheme_and_versions_count_up(registry):
    assert [registered(registry).name for _ in range(2)] == ["stock_1d_ridge_v1", "stock_1d_ridge_v2"]
    assert registered(registry, ModelKey("crypto", "1h", "tft_energy")).name == "crypto_1h_tft_energy_v1"
    assert [e.stage for e in registry.entries()] == ["candidate"] * 3
    assert registry.same_recipe("r2").name == "stock_1d_ridge_v2"
    assert registry.same_recipe("other") is None


def test_a_removed_version_is_never_given_again(registry):
    first = registered(registry)
    registry.remove(first.name)
    assert not first.path.exists()
    assert registered(registry).name == "stock_1d_ridge_v2"
    with pytest.raises(UnknownNameError, match="stock_1d_ridge_v2"):
        registry.find("stock_1d_ridge_v1")


@pytest.mark.parametrize("at", ["build", "manifest", "rename"])
def test_a_kill_half_way_registers_nothing(registry, monkeypatch, at):
    class KilledError(BaseException):
        """Nothing catches it, as nothing catches a kill."""

    def die(*_: object, **__: object) -> None:
        raise KilledError

    def half(folder: Path, name: str) -> None:
        build(folder, name)
        if at == "build":
            die()

    if at == "manifest":
        monkeypatch.setattr("foresail.service.models_registry.write_manifest", die)
    if at == "rename":
        monkeypatch.setattr(Path, "rename", die)
    # A kill runs no clean-up either.
    monkeypatch.setattr("foresail.service.models_registry.shutil.rmtree", lambda *_, **__: None)
    with pytest.raises(KilledError):
        registry.register(KEY, half)
    monkeypatch.undo()
    assert registry.entries() == ()
    assert [p.name for p in registry.folder.glob(".tmp-*")] == [".tmp-stock_1d_ridge_v1"]
    entry = registered(registry)
    assert entry.record()["name"] == entry.name
    assert not list(registry.folder.glob(".tmp-*"))
    assert [e.name for e in registry.entries()] == [entry.name]


def test_a_build_that_fails_leaves_nothing(registry):
    def fails(folder: Path, name: str) -> None:
        build(folder, name)
        raise ModelError("no weights")

    with pytest.raises(ModelError, match="no weights"):
        registry.register(KEY, fails)
    assert registry.entries() == ()
    assert not list(registry.folder.glob(".tmp-*"))


def test_one_champion_and_the_way_back(registry):
    first, second = registered(registry), registered(registry)
    with pytest.raises(UserError, match="no champion"):
        registry.find("stock_1d_ridge")
    registry.promote(first.name, note="first")
    assert registry.find("stock_1d_ridge").name == first.name
    registry.promote(second.name)
    assert {e.name: e.stage for e in registry.entries()} == {first.name: "candidate", second.name: "champion"}
    registry.promote(first.name)
    assert registry.find("stock_1d").name == first.name
    assert [one.get("stage") for one in registry.history(first.name)] == [None, "champion", "candidate", "champion"]
    with pytest.raises(UserError, match="is the champion"):
        registry.remove(first.name)
    assert registry.retire(first.name).stage == "retired"
    registry.remove(first.name)
    other = registered(registry, ModelKey("stock", "1d", "tft"))
    registry.promote(second.name)
    registry.promote(other.name)
    with pytest.raises(UserError, match="2 champions"):
        registry.find("stock_1d")


def test_every_change_of_a_file_is_refused_with_both_hashes(registry):
    entry = registered(registry)
    for path in sorted(p for p in entry.path.rglob("*") if p.is_file() and p.name != MANIFEST):
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        with pytest.raises(ModelError, match=r"expected SHA-256 [0-9a-f]{16}, found [0-9a-f]{16}"):
            registry.find(entry.name).record()
        path.write_bytes(before)
    assert registry.find(entry.name).record()["name"] == entry.name


def test_a_manifest_that_was_written_again_is_refused(registry):
    entry = registered(registry)
    (entry.path / "scaler.json").write_text('{"mean": [1]}\n')
    write_manifest(entry.path)
    assert verified_record(entry.path)["name"] == entry.name  # whole in itself
    with pytest.raises(ModelError, match=r"manifest\.json was changed after it was registered"):
        registry.find(entry.name).record()


def test_absent_and_added_files_are_refused(registry):
    entry = registered(registry)
    (entry.path / "probe.json").unlink()
    with pytest.raises(ModelError, match=r"probe\.json is missing"):
        entry.record()
    (entry.path / "probe.json").write_text("{}\n")
    (entry.path / "notes.txt").write_text("mine\n")
    with pytest.raises(ModelError, match=r"notes\.txt was added"):
        entry.record()
    (entry.path / "notes.txt").unlink()
    (entry.path / "extra").mkdir()
    with pytest.raises(ModelError, match="has no folder extra"):
        entry.record()


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("scaler.pkl", b"plain", r"\.pkl"),
        ("model.bin", b"\x00\x01", r"\.bin"),
        ("weights.json", b"\x80\x04\x95", "a pickle"),
        ("net.safetensors", b"PK\x03\x04rest", "a zip archive"),
        ("x.txt", b"\x93NUMPY", "a NumPy file"),
    ],
)
def test_pickles_and_foreign_files_are_refused(registry, name, content, what):
    def foreign(folder: Path, model: str) -> None:
        build(folder, model)
        (folder / "weights" / name).write_bytes(content)

    with pytest.raises(ModelError, match=what):
        registry.register(KEY, foreign)
    entry = registered(registry)
    (entry.path / "weights" / name).write_bytes(content)
    with pytest.raises(ModelError, match=what):
        entry.record()


def test_links_and_folders_that_are_no_model_are_refused(registry, tmp_path):
    entry = registered(registry)
    target = tmp_path / "elsewhere.json"
    shutil.move(entry.path / "scaler.json", target)
    (entry.path / "scaler.json").symlink_to(target)
    with pytest.raises(ModelError, match="is a link"):
        entry.record()
    with pytest.raises(ModelError, match="no registered model"):
        verified_record(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / MANIFEST).write_text(json.dumps({"format": "foresail-model", "version": 9, "files": {}}))
    with pytest.raises(ModelError, match="version 9"):
        verified_record(other)
    (other / MANIFEST).write_text("[1]")
    with pytest.raises(ModelError, match="expected a JSON object"):
        verified_record(other)


def test_a_safetensors_header_may_begin_like_a_pickle(registry):
    def whole(folder: Path, name: str) -> None:
        build(folder, name)
        (folder / "weights" / "weights.safetensors").write_bytes((128).to_bytes(8, "little") + b"{}")

    assert registry.register(KEY, whole).record()["name"] == "stock_1d_ridge_v1"


def test_a_renamed_folder_is_refused(registry):
    entry = registered(registry)
    entry.path.rename(registry.folder / "stock_1d_ridge_v7")
    with pytest.raises(ModelError, match="expected the model stock_1d_ridge_v7, found 'stock_1d_ridge_v1'"):
        registry.find("stock_1d_ridge_v7").record()


def test_writers_at_once_get_versions_of_their_own(tmp_path):
    def one(_: int) -> str:
        return registered(ModelRegistry(tmp_path)).name

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(one, range(8)))
    assert sorted(names) == [f"stock_1d_ridge_v{n}" for n in range(1, 9)]
    assert all(entry.record()["name"] == entry.name for entry in ModelRegistry(tmp_path).entries())


def test_a_name_outside_the_scheme_is_refused(registry):
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        registry.register(ModelKey("stock", "1d", "Ridge/.."), build)
    assert not list(registry.folder.glob(".tmp-*"))
