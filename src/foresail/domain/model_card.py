"""The contract of ``model.json``, the model card; a change of meaning, type or unit of a key raises the version."""

from __future__ import annotations

__all__ = ["MODEL_CARD_FORMAT", "MODEL_CARD_KEYS", "MODEL_CARD_VERSION"]

MODEL_CARD_FORMAT = "foresail-model-card"
MODEL_CARD_VERSION = 1

# path, type, unit, meaning
MODEL_CARD_KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("format", "string", "", "foresail-model-card"),
    ("version", "integer", "", "version of this document"),
    ("model", "object", "", "name, version, settings; null where no model was fitted"),
    ("reason", "string", "", "why no model was fitted; null where one was"),
    ("data", "object", "ns UTC", "from, to, instruments, frame, price_basis, universe_basis"),
    (
        "features",
        "object",
        "SHA-256",
        "names in the order of the matrix, the hash of that list; selection, where folds chose: share of them by name",
    ),
    ("seed", "integer", "", "of everything random"),
    ("splits[]", "object", "dates, rows", "fold, trained, served, rows, purged"),
    ("metrics[]", "object", "log return, fractions", "by target and horizon, with 95 % intervals"),
    ("calibration[]", "object", "fractions", "by horizon: error, curve, bands, histogram"),
    (
        "paired[]",
        "object",
        "fractions",
        "tests against each baseline on the same rows, with what they could show",
    ),
    ("acceptance", "object", "", "VALID-14: accepted, and each check with its sentence"),
    ("intended_use", "string", "", "one sentence"),
    ("training[]", "string", "", "training curves, or why there are none"),
    ("limits[]", "string", "", "where it should not be trusted, known failures"),
    ("importance", "object", "fractions", "feature -> share of the loss reduction"),
    ("trials", "integer", "", "trials made on these data so far"),
)
