"""The hold-out: data that nobody has seen, opened through one counted call.

1. ``seal`` names a period of a data lineage and the hash of its labels; both become a line of the trial registry.
2. Labels lie elsewhere (``service.holdout`` writes them into a vault outside workspace and repository). Runs on such
   data refuse to read past the start of the period.
3. ``HoldOut.open`` is the only way to score. It writes and hashes the predictions first, appends the look to the
   registry, and only then has the labels joined and the score recorded.
4. A second look of one release returns the recorded result and counts nothing, if its predictions are equal byte for
   byte. Other predictions are refused, unless another look is asked for, and then it counts.

The number of looks is part of every answer; looks after the first enter the number of trials (``evaluation.registry``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, hash_bytes, hash_file, plain, write_atomic
from foresail.core.clock import Clock, format_ns
from foresail.core.errors import IntegrityError, UnknownNameError, UserError
from foresail.evaluation.registry import Lineage, TrialRegistry

__all__ = ["HoldOut", "Look", "Opened", "Release", "Seal", "looks_at", "refuse_sealed", "seal", "seals_of"]

_MANIFEST = "manifest.json"
_PARQUET = b"PAR1"  # with which every Parquet file begins


@dataclass(frozen=True, slots=True)
class Seal:
    """A sealed period.

    Attributes
    ----------
    name : of the hold-out, unique in its registry
    lineage : names, frame and target; its window is the sealed period ``[start, end)``, ns UTC
    labels_hash : SHA-256 of the labels, which must still be the same when they are joined
    rows : labels
    sealed_at : ISO text from the caller's clock
    vault : folder with the labels; empty where they lie in the file that is being judged
    """

    name: str
    lineage: Lineage
    labels_hash: str
    rows: int
    sealed_at: str
    vault: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """What is judged: a model that was finished before it looked.

    Attributes
    ----------
    name : for example "1.4.0" or the name of a model
    settings_hash, code_hash : SHA-256, told in the record
    """

    name: str
    settings_hash: str
    code_hash: str


@dataclass(frozen=True, slots=True)
class Look:
    """One look on record.

    Attributes
    ----------
    number : 1 for the first look at this hold-out, whoever took it
    predictions_hash : SHA-256 of the predictions as they were written before labels were joined
    score : as it was found; None where the look was interrupted before
    """

    seal: str
    release: Release
    number: int
    predictions_hash: str
    looked_at: str
    score: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Opened:
    """Answer of the counted call.

    Attributes
    ----------
    counted : false where the recorded result was returned
    looks : at this hold-out so far, this one included
    folder : with the predictions and the manifest, written before the labels were joined
    """

    look: Look
    counted: bool
    looks: int
    folder: Path

    @property
    def score(self) -> Mapping[str, Any]:
        """What was found."""
        return {} if self.look.score is None else self.look.score

    @property
    def text(self) -> str:
        """One sentence for every report."""
        times = "once" if self.looks == 1 else f"{self.looks} times"
        more = "" if self.looks == 1 else f"; {self.looks - 1} of them count as further trials"
        again = "" if self.counted else " (the recorded result; nothing was counted again)"
        return f"hold-out {self.look.seal}: looked at {times}{more}; this is look {self.look.number}{again}"


def seals_of(registry: TrialRegistry) -> tuple[Seal, ...]:
    """Return the sealed periods of a registry, oldest first."""
    return tuple(_seal(record) for record in registry.holdout_records() if record["kind"] == "seal")


def looks_at(registry: TrialRegistry, name: str) -> tuple[Look, ...]:
    """Return the looks at a hold-out, oldest first."""
    records = registry.holdout_records()
    scores = {(r["seal"], r["number"]): r["score"] for r in records if r["kind"] == "score"}
    return tuple(
        Look(
            seal=name,
            release=Release(r["release"], r["settings"], r["code"]),
            number=int(r["number"]),
            predictions_hash=r["predictions"],
            looked_at=r["looked_at"],
            score=scores.get((name, r["number"])),
        )
        for r in records
        if r["kind"] == "look" and r["seal"] == name
    )


def seal(registry: TrialRegistry, wanted: Seal) -> Seal:
    """Record a sealed period; one that is on record already is returned as it is.

    Raises
    ------
    UserError
        If the name stands for another period, or the period overlaps a sealed one of the same data.
    """
    with registry.writing() as append:
        for known in seals_of(registry):
            if known.name == wanted.name:
                if (known.lineage, known.labels_hash) == (_sorted(wanted.lineage), wanted.labels_hash):
                    return known
                raise UserError(
                    f"the hold-out {known.name} is sealed already, with other labels or another period",
                    hint="choose another name; a seal is never changed",
                )
            if known.lineage.overlaps(wanted.lineage):
                raise UserError(
                    f"the period overlaps the hold-out {known.name} of the same data, sealed from "
                    f"{format_ns(known.lineage.start)}",
                    hint=f"open that one: foresail holdout open {known.name}",
                )
        line = _sorted(wanted.lineage)
        append(
            {
                "kind": "seal",
                "name": wanted.name,
                "universe": line.universe,
                "frame": line.frame,
                "target": line.target,
                "start": line.start,
                "end": line.end,
                "labels": wanted.labels_hash,
                "rows": wanted.rows,
                "sealed_at": wanted.sealed_at,
                "vault": wanted.vault,
            }
        )
    return next(one for one in seals_of(registry) if one.name == wanted.name)


def refuse_sealed(registry: TrialRegistry, lineage: Lineage) -> tuple[str, ...]:
    """Return sentences on opened hold-outs inside a window, and refuse a window that reaches into a closed one.

    Parameters
    ----------
    lineage : names and frame that are read, with the window ``[start, end)``; whatever the target

    Raises
    ------
    UserError
        If a hold-out of these names that nobody has looked at begins before the window ends.
    """
    told: list[str] = []
    if not registry.holds_seals():
        return ()
    for one in seals_of(registry):
        there = Lineage(one.lineage.universe, one.lineage.frame, lineage.target, one.lineage.start, one.lineage.end)
        if not there.shares_data(lineage) or lineage.end <= there.start:
            continue
        looks = len(looks_at(registry, one.name))
        first = format_ns(there.start)[:10]
        if not looks:
            raise UserError(
                f"the data reach past {first}, where the hold-out {one.name} begins; nobody has looked at it yet",
                hint="stop before it with --until DAY, or open it, which counts: foresail holdout open "
                f"{one.name} --release NAME --predictions FILE",
            )
        told.append(
            f"the hold-out {one.name} from {first} was opened ({looks} look{'s' if looks > 1 else ''}) and has been "
            "read here: it is no hold-out any more"
        )
    return tuple(told)


class HoldOut:
    """A sealed period that can be opened.

    Parameters
    ----------
    registry : where looks are counted
    name : of the seal
    folder : into which predictions and manifests are written, a folder for each look
    clock : the only source of the time in the record

    Raises
    ------
    UnknownNameError
        If the registry has no such seal.
    """

    def __init__(self, registry: TrialRegistry, name: str, *, folder: Path, clock: Clock) -> None:
        found = {one.name: one for one in seals_of(registry)}
        if name not in found:
            raise UnknownNameError("hold-out", name, found, hint="seal it first: foresail holdout seal")
        self.seal = found[name]
        self._registry = registry
        self._folder = folder
        self._clock = clock

    def open(
        self,
        release: Release,
        predictions: bytes,
        score: Callable[[], Mapping[str, Any]],
        *,
        another_look: bool = False,
    ) -> Opened:
        """Score predictions, once.

        Parameters
        ----------
        predictions : the whole file, as it is to be kept
        score : joins the labels and returns plain figures; called after everything else is written
        another_look : count one more look where this release has had one with other predictions

        Raises
        ------
        UserError
            If this release has looked with other predictions, and no other look was asked for.
        """
        digest = hash_bytes(predictions)
        with self._registry.writing() as append:
            looks = looks_at(self._registry, self.seal.name)
            own = [one for one in looks if one.release.name == release.name]
            same = next((one for one in own if one.predictions_hash == digest), None)
            if same is None and own and not another_look:
                raise UserError(
                    f"release {release.name} has looked at the hold-out {self.seal.name} on {own[-1].looked_at[:10]} "
                    f"with other predictions ({own[-1].predictions_hash[:12]}, now {digest[:12]})",
                    hint="every look that follows is chosen after seeing the hold-out; --another-look counts it",
                )
            look = same or Look(self.seal.name, release, len(looks) + 1, digest, self._clock.now().isoformat(), None)
            folder = self._folder / f"{self.seal.name}-look-{look.number}"
            if same is None:
                self._write(folder, look, predictions)
                append(_look_record(look))
        if look.score is None:
            look = self._scored(look, score)
        total = len(looks_at(self._registry, self.seal.name))
        return Opened(look, counted=same is None, looks=total, folder=folder)

    def _write(self, folder: Path, look: Look, predictions: bytes) -> None:
        """Write predictions and manifest, and read the predictions back: what is hashed is what lies there."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / ("predictions.parquet" if predictions.startswith(_PARQUET) else "predictions")
            write_atomic(path, predictions)
            manifest = {
                "hold_out": look.seal,
                "labels_sha256": self.seal.labels_hash,
                "look": look.number,
                "predictions": path.name,
                "predictions_bytes": len(predictions),
                "predictions_sha256": look.predictions_hash,
                "release": plain(look.release),
                "written_at": look.looked_at,
            }
            write_atomic(folder / _MANIFEST, canonical_bytes(manifest))
        except OSError as e:
            raise UserError(f"{folder}: cannot be written: {e.strerror}", hint="nothing was counted") from e
        if hash_file(path) != look.predictions_hash:
            raise IntegrityError(f"{path}: what was written is not what was given")

    def _scored(self, look: Look, score: Callable[[], Mapping[str, Any]]) -> Look:
        """Join the labels and record what came of it; a look that was interrupted before is finished here."""
        found: dict[str, Any] = json.loads(json.dumps(plain(dict(score())), allow_nan=False))
        with self._registry.writing() as append:
            append({"kind": "score", "seal": look.seal, "number": look.number, "score": found})
        return Look(look.seal, look.release, look.number, look.predictions_hash, look.looked_at, found)


def _look_record(look: Look) -> dict[str, Any]:
    return {
        "kind": "look",
        "seal": look.seal,
        "number": look.number,
        "release": look.release.name,
        "settings": look.release.settings_hash,
        "code": look.release.code_hash,
        "predictions": look.predictions_hash,
        "looked_at": look.looked_at,
    }


def _sorted(lineage: Lineage) -> Lineage:
    return Lineage(tuple(sorted(set(lineage.universe))), lineage.frame, lineage.target, lineage.start, lineage.end)


def _seal(record: Mapping[str, Any]) -> Seal:
    lineage = Lineage(
        tuple(record["universe"]), record["frame"], record["target"], int(record["start"]), int(record["end"])
    )
    return Seal(record["name"], lineage, record["labels"], int(record["rows"]), record["sealed_at"], record["vault"])
