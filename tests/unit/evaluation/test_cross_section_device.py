"""The daily cross-section takes a device: what is not there is refused, what was kept without one is found again."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from benchmarks import daily_cross_section as cross_section  # noqa: E402

from foresail.core.errors import CapabilityError  # noqa: E402


def ready() -> SimpleNamespace:
    axes = SimpleNamespace(fields=("a", "b"), names=("close",), values=np.zeros((2, 3, 2)))
    return SimpleNamespace(inputs=SimpleNamespace(features=axes, targets=axes), training=SimpleNamespace(features=axes))


def test_networks_are_trained_on_the_device_of_the_protocol() -> None:
    protocol = replace(cross_section.Protocol(), device="cuda")
    assert cross_section.made("tft", ready(), protocol).settings.device == "cuda"
    assert cross_section.made("lstm", ready(), cross_section.Protocol()).settings.device == "cpu"


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    words = ["cross", "--data", "none.parquet", "--out", "nowhere", "--names", "363", "--device", "cuda"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(CapabilityError, match="cuda was asked for"):
        cross_section.main()
