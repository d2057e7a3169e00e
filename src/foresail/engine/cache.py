"""A cache of finished folds by content: what an interrupted run has computed is not computed again.

The key hashes every byte that the fold depends on, so a wrong hit is impossible short of a collision; deleting the
folder is always safe.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, TrainingSet
from foresail.engine.explaining import Explained
from foresail.engine.inspecting import Inside
from foresail.engine.settings import PipelineSettings

__all__ = ["FoldCache"]


@dataclass(frozen=True, slots=True)
class FoldCache:
    """Predictions and fit reports under ``folder``; ``code`` is a hash of the sources that produced them."""

    folder: Path
    code: str

    def key(
        self,
        data: TrainingSet,
        features: Panel,
        scale: FloatArray,
        rows: IntArray,
        *,
        settings: PipelineSettings,
        seed: int,
    ) -> str:
        """Return the hash of all that a fold's predictions depend on.

        Parameters
        ----------
        data : what the fold's model is fitted on
        features : (N, T, F), of which ``rows`` are predicted
        scale : (N, T)
        rows : (R, 2) (instrument, time)
        """
        digest = hashlib.sha256(self.code.encode())
        names = (features.fields, features.instruments, data.targets.names, data.targets.horizons)
        # what the report compares with has no part in it
        digest.update(canonical_bytes([asdict(replace(settings, beside=())), seed, *names]))
        first = int(data.train_rows[:, 1].min()) if len(data.train_rows) else 0
        last = int(rows[:, 1].max()) + 1 if len(rows) else 0
        for array in (
            # A forecaster may read any feature up to the row that it predicts, a recursive one from the first bar on.
            np.ascontiguousarray(features.values[:, : max(last, data.features.shape[1])]),
            features.end[: max(last, data.features.shape[1])],
            np.ascontiguousarray(data.targets.values[:, first:]),
            np.ascontiguousarray(data.scale[:, first:]),
            data.train_rows,
            data.validation_rows,
            data.calibration_rows,
            data.weights,
            rows,
            np.ascontiguousarray(scale[rows[:, 0], rows[:, 1]]),
        ):
            digest.update(str(array.shape).encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def read(self, key: str) -> tuple[FloatArray, Explained, Inside | None, FitReport] | None:
        """Return what was stored under a key; None if nothing whole is there."""
        path = self.folder / f"{key}.fold"
        if not path.is_file():
            return None
        digest, _, content = path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != digest:
            return None
        head, _, body = content.partition(b"\n")
        document = json.loads(head)
        report, shown = document["report"], document["inside"]
        report["importance"] = tuple((str(name), float(share)) for name, share in report["importance"])
        report["notes"] = tuple(report["notes"])
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            explained = Explained(arrays["rows"], arrays["features"], arrays["shares"], arrays["values"])
            inside = None if shown is None else Inside.of(shown)
            return arrays["predicted"], explained, inside, FitReport(**report)

    def write(
        self, key: str, predicted: FloatArray, explained: Explained, inside: Inside | None, report: FitReport
    ) -> None:
        """Store a finished fold."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            predicted=predicted,
            rows=explained.rows,
            features=explained.features,
            shares=explained.shares,
            values=explained.values,
        )
        document = {"report": asdict(report), "inside": None if inside is None else inside.to_json()}
        content = json.dumps(document).encode() + b"\n" + buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest().encode()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / f"{key}.fold", digest + b"\n" + content)
