"""Weights on disk: safetensors, bound to the rest of a model by their hash. Nothing is pickled."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor, nn

from foresail.core.canonical import write_atomic
from foresail.core.errors import ModelError

__all__ = ["WEIGHTS_FILE", "load_weights", "save_weights", "weights_hash"]

WEIGHTS_FILE = "weights.safetensors"


def _packed(network: nn.Module) -> bytes:
    tensors: dict[str, Tensor] = {name: value.contiguous() for name, value in sorted(network.state_dict().items())}
    packed: bytes = save(tensors)
    return packed


def weights_hash(network: nn.Module) -> str:
    """Return the SHA-256 of a network's weights as they are written."""
    return hashlib.sha256(_packed(network)).hexdigest()


def save_weights(network: nn.Module, folder: Path) -> None:
    """Write ``weights.safetensors``."""
    write_atomic(folder / WEIGHTS_FILE, _packed(network))


def load_weights(network: nn.Module, folder: Path, expected: str) -> None:
    """Read weights into a network of the same shape.

    Raises
    ------
    ModelError
        If there are none, their hash differs, or they belong to another network.
    """
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise ModelError(f"expected {WEIGHTS_FILE} in {folder}, found none", hint="copy the whole folder of a model")
    packed = path.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != expected:
        raise ModelError(
            f"{path} has the hash {found[:12]}, model.json was written with {expected[:12]}",
            hint="the file was changed or belongs to another model; train or copy it again",
        )
    tensors = load(packed)
    own = network.state_dict()
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in tensors.items()}:
        raise ModelError(f"{path} holds the weights of a network of another shape")
    network.load_state_dict(tensors)
