"""The registry of models: a folder each, a journal of what became of them, one champion a class, frame and model.

1. A model is built in ``models/.tmp-<name>`` under the registry's lock and renamed when its manifest stands, so it is
   registered whole or not at all. What a kill leaves behind is a ``.tmp-`` folder, which the next writer sweeps.
2. Versions count up and are never given twice, not even after a removal.
3. Stages are lines of ``models/journal.jsonl``: candidate, champion, retired. Who was champion before is a candidate
   again, so going back is one promotion.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import ModelError, UnknownNameError, UserError
from foresail.evaluation.registry_file import RecordFile
from foresail.service.models_folder import MANIFEST, RECORD, read_document, verified_record, write_manifest

__all__ = ["CHECKPOINTS", "ONE_TICKER", "STAGES", "ModelEntry", "ModelKey", "ModelRegistry"]

STAGES = ("candidate", "champion", "retired")
CHECKPOINTS = ".checkpoints"
_NAME = re.compile(r"^(stock|crypto|forex)_(\d+[a-z]+)_([a-z][a-z0-9_]*)_v(\d+)$")


ONE_TICKER = "_only_"  # in the name of a model of one ticker, before the ticker


@dataclass(frozen=True, slots=True)
class ModelKey:
    """What models compete for: class, frame, and which model (REG-01).

    Attributes
    ----------
    model : name of the forecaster; with its sector where it was fine-tuned for one, or its ticker where it has one only
    """

    asset_class: str
    frame: str
    model: str

    @property
    def is_of_one(self) -> bool:
        """Whether it is a model of one ticker, which answers only where it is named (FCST-16)."""
        return ONE_TICKER in self.model

    def __str__(self) -> str:
        return f"{self.asset_class}_{self.frame}_{self.model}"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One registered model.

    Attributes
    ----------
    stage : of ``STAGES``
    since : when it came into that stage, ISO text; empty where the journal does not know it
    manifest_hash : as it was registered; empty where the journal does not know it
    """

    name: str
    key: ModelKey
    number: int
    path: Path
    stage: str
    since: str
    manifest_hash: str

    def record(self) -> dict[str, Any]:
        """Return ``model.json``, every file of the folder verified.

        Raises
        ------
        ModelError
            If a file is not the one that was registered.
        """
        found = verified_record(self.path, manifest_hash=self.manifest_hash)
        if found.get("name") != self.name:
            raise ModelError(f"{self.path}: expected the model {self.name}, found {found.get('name')!r}")
        return found


@dataclass(slots=True)
class _Past:
    """What the journal says."""

    stages: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> stage, since
    manifests: dict[str, str] = field(default_factory=dict)
    highest: dict[ModelKey, int] = field(default_factory=dict)
    changes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class ModelRegistry:
    """The models of a workspace.

    Parameters
    ----------
    workspace : whose folder ``models`` this is
    clock : source of the times in the journal
    """

    def __init__(self, workspace: Path, *, clock: Clock | None = None) -> None:
        self.folder = workspace / "models"
        self._clock = SystemClock() if clock is None else clock
        self._journal = RecordFile(self.folder / "journal.jsonl")

    def checkpoint(self, digest: str) -> Path:
        """Return the folder from which a training that was killed goes on."""
        return self.folder / CHECKPOINTS / digest[:16]

    def drop_checkpoint(self, digest: str) -> None:
        """Remove the checkpoint of a finished training."""
        folder = self.checkpoint(digest)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()

    def entries(self) -> tuple[ModelEntry, ...]:
        """Return the registered models, by class, frame, model and version."""
        past, found = self._past(), []
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            parts = _parts(path.name)
            if parts is None or not (path / MANIFEST).is_file():
                continue
            stage, since = past.stages.get(path.name, ("candidate", ""))
            found.append(ModelEntry(path.name, *parts, path, stage, since, past.manifests.get(path.name, "")))
        return tuple(sorted(found, key=lambda one: (str(one.key), one.number)))

    def history(self, name: str) -> tuple[dict[str, Any], ...]:
        """Return what became of a model, oldest first."""
        return tuple(self._past().changes.get(name, ()))

    def find(self, name: str) -> ModelEntry:
        """Return a model by its name, or the champion of ``class_frame_model`` or ``class_frame``.

        Raises
        ------
        UnknownNameError
            With the known names.
        UserError
            If there is no champion, or the champions of several models fit.
        """
        entries = self.entries()
        exact = [one for one in entries if one.name == name]
        if exact:
            return exact[0]
        family = [one for one in entries if name in (str(one.key), f"{one.key.asset_class}_{one.key.frame}")]
        champions = [one for one in family if one.stage == "champion"]
        champions = [one for one in champions if not one.key.is_of_one or str(one.key) == name]
        if len(champions) == 1:
            return champions[0]
        if not family:
            hint = "foresail models list shows all; foresail train makes one"
            raise UnknownNameError("model", name, [one.name for one in entries], hint=hint)
        shown = ", ".join(one.name for one in champions or family)
        if champions:
            raise UserError(f"{name} has {len(champions)} champions: {shown}", hint="name one of them")
        raise UserError(f"{name} has no champion; it has {shown}", hint="foresail models promote NAME, or name one")

    def register(self, key: ModelKey, build: Callable[[Path, str], None]) -> ModelEntry:
        """Register a model.

        Parameters
        ----------
        build : writes everything but the manifest into the folder that it is given, with the name of the model

        Raises
        ------
        ModelError
            If it writes a file of a kind that is not allowed.
        UserError
            If the folder cannot be written.
        """
        try:
            with self._journal.locked():
                self._sweep()
                name = f"{key}_v{self._next(key)}"
                if _parts(name) is None:
                    raise ModelError(f"{name} cannot be the name of a model", hint="class_frame_model_vN, lower case")
                begun = self.folder / f".tmp-{name}"
                begun.mkdir(parents=True)
                try:
                    build(begun, name)
                    digest = write_manifest(begun)
                    self._append("registered", name, manifest=digest)
                    begun.rename(self.folder / name)
                finally:
                    shutil.rmtree(begun, ignore_errors=True)
        except OSError as e:
            raise UserError(
                f"{self.folder}: the model cannot be written: {e.strerror or e}; nothing was registered",
                hint="check that the folder is writable and the disk is not full",
            ) from e
        return self.find(name)

    def promote(self, name: str, *, note: str = "") -> ModelEntry:
        """Make a verified model the champion of its class, frame and model; the one before is a candidate again.

        Raises
        ------
        UnknownNameError, ModelError
            If there is no such model, or it is not what was registered.
        """
        entry = self.find(name)
        entry.record()
        with self._journal.locked():
            for other in self.entries():
                if other.key == entry.key and other.stage == "champion" and other.name != entry.name:
                    self._append("stage", other.name, stage="candidate", note=f"{entry.name} was promoted")
            if entry.stage != "champion":
                self._append("stage", entry.name, stage="champion", note=note)
        return self.find(entry.name)

    def retire(self, name: str, *, note: str = "") -> ModelEntry:
        """Take a model out of use; it stays on disk."""
        entry = self.find(name)
        with self._journal.locked():
            if entry.stage != "retired":
                self._append("stage", entry.name, stage="retired", note=note)
        return self.find(entry.name)

    def remove(self, name: str) -> ModelEntry:
        """Delete a model; its version is never given again.

        Raises
        ------
        UserError
            If it is the champion.
        """
        entry = self.find(name)
        if entry.stage == "champion":
            raise UserError(f"{entry.name} is the champion", hint=f"foresail models retire {entry.name}, then remove")
        with self._journal.locked():
            away = self.folder / f".tmp-removed-{entry.name}"
            shutil.rmtree(away, ignore_errors=True)
            entry.path.rename(away)
            self._append("removed", entry.name)
            shutil.rmtree(away, ignore_errors=True)
        return entry

    def same_recipe(self, recipe_hash: str) -> ModelEntry | None:
        """Return the newest model that was trained from the same data, settings, seed and code; None without one."""
        for entry in reversed(self.entries()):
            try:
                found = read_document(entry.path / RECORD).get("recipe_hash")
            except ModelError:  # a damaged model is no answer; verify tells of it
                continue
            if found == recipe_hash:
                return entry
        return None

    # -- journal ------------------------------------------------------------------------------------------------------

    def _append(self, kind: str, name: str, **more: Any) -> None:
        self._journal.cut_torn()
        self._journal.append([{"kind": kind, "name": name, "at": self._clock.now().isoformat(), **more}])

    def _past(self) -> _Past:
        past = _Past()
        found = RecordFile(self._journal.path).read()
        for _, record in found.records if found is not None else ():
            name, kind, at = str(record.get("name")), record.get("kind"), str(record.get("at"))
            parts = _parts(name)
            if parts is None:
                continue
            past.changes.setdefault(name, []).append(record)
            past.highest[parts[0]] = max(parts[1], past.highest.get(parts[0], 0))
            if kind == "registered":
                past.manifests[name] = str(record.get("manifest", ""))
                past.stages[name] = ("candidate", at)
            elif kind == "stage" and record.get("stage") in STAGES:
                past.stages[name] = (str(record["stage"]), at)
        return past

    def _next(self, key: ModelKey) -> int:
        there = [one.number for one in self.entries() if one.key == key]
        return max([0, self._past().highest.get(key, 0), *there]) + 1

    def _sweep(self) -> None:
        """Remove what killed writers left; the caller holds the lock, so nobody is writing."""
        for path in self.folder.glob(".tmp-*"):
            shutil.rmtree(path, ignore_errors=True)


def _parts(name: str) -> tuple[ModelKey, int] | None:
    match = _NAME.match(name)
    return None if match is None else (ModelKey(match[1], match[2], match[3]), int(match[4]))
