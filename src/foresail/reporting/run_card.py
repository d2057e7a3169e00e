"""The model card of a run as plain frozen data (REP-05)."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.evaluation.acceptance import Acceptance

__all__ = ["ModelCard"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """REP-05, per model version.

    Attributes
    ----------
    settings : (name, value), hyper-parameters included
    importance : (feature, share of total gain), descending
    data_from, data_to : of all training rows
    limits : one sentence each
    intended_use : one sentence
    training : sentences on training curves and stopping
    splits : (fold, trained on, served, rows trained, rows purged)
    metrics : (what, figure with interval)
    trials : made on these data so far
    features_hash : SHA-256 over the names in the order of the matrix
    selection : (feature, share of the refits that keep it), the most stable first; empty where nothing was selected
    """

    name: str
    version: str
    settings: tuple[tuple[str, str], ...]
    importance: tuple[tuple[str, float], ...]
    data_from: int
    data_to: int
    seed: int
    limits: tuple[str, ...] = ()
    intended_use: str = ""
    training: tuple[str, ...] = ()
    splits: tuple[tuple[str, ...], ...] = ()
    metrics: tuple[tuple[str, str], ...] = ()
    acceptance: Acceptance | None = None
    trials: int = 1
    features_hash: str = ""
    selection: tuple[tuple[str, float], ...] = ()
