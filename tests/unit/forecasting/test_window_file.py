"""Windows cut from a mapped file are those cut from memory, and no file is left, whatever became of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.core.errors import DataError, UnknownNameError  # noqa: E402
from foresail.domain.forecast import QUANTILE_LEVELS  # noqa: E402
from foresail.domain.training import ForecasterSpec  # noqa: E402
from foresail.forecasting.neural import window_file  # noqa: E402
from foresail.forecasting.neural.settings import MAPPED_FROM, NetworkSettings  # noqa: E402
from foresail.forecasting.neural.window_file import mapped_matrix  # noqa: E402
from foresail.forecasting.neural.windows import WindowSource  # noqa: E402
from foresail.forecasting.options import build_forecaster  # noqa: E402
from foresail.testing.planted import PlantedSettings, planted_market  # noqa: E402

END = 160
MARKET = planted_market(PlantedSettings(names=6, bars=190, noise=2, skill=0.3), seed=1)
ROWS = MARKET.rows(END, END + 9)
ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="files in use keep their names here")


def rows(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(5, 2)).astype(np.float32) for _ in range(3)]


def trained(name: str, memory: str, checkpoint: Path | None = None) -> tuple[str, bytes, dict[str, torch.Tensor]]:
    options = {"context_length": 12, "width": 8, "epochs": 2, "threads": 1, "minimum_windows": 50, "memory": memory}
    spec = ForecasterSpec(
        name, "1", MARKET.features.fields, MARKET.targets.names, MARKET.targets.horizons, QUANTILE_LEVELS
    )
    model = build_forecaster(name, spec, options)
    model.checkpoint = checkpoint
    report = model.fit(MARKET.training_set(END), seed=2)
    told = model.predict(MARKET.features, ROWS, MARKET.scale)
    return report.model, told.tobytes(), model.fitted.network.state_dict()


@pytest.mark.parametrize("name", ["tft", "gru"])
def test_training_from_a_file_is_training_from_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[bool] = []
    real = WindowSource.__init__

    def noted(self: WindowSource, *given: object) -> None:
        real(self, *given)  # type: ignore[arg-type]
        kinds.append(isinstance(self._observed, np.memmap))

    monkeypatch.setattr(WindowSource, "__init__", noted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    held = trained(name, "automatic")
    assert kinds
    assert not any(kinds)  # far below two gibibytes
    kinds.clear()
    mapped = trained(name, "mapped", tmp_path / "checkpoint")
    assert kinds
    assert all(kinds)  # in training, calibration and forecasts alike
    assert mapped[:2] == held[:2]
    assert all(torch.equal(value, held[2][key]) for key, value in mapped[2].items())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert trained(name, "ram")[:2] == held[:2]


def test_from_two_gibibytes_on_the_file_is_automatic() -> None:
    settings = NetworkSettings()
    assert settings.is_mapped(MAPPED_FROM)
    assert not settings.is_mapped(MAPPED_FROM - 1)
    assert NetworkSettings(memory="mapped").is_mapped(0)
    assert not NetworkSettings(memory="ram").is_mapped(1 << 50)
    with pytest.raises(UnknownNameError, match="unknown memory 'disk'"):
        NetworkSettings(memory="disk")


def test_a_file_that_a_crash_left_is_removed_at_the_next_start_and_one_in_use_is_not(tmp_path: Path) -> None:
    dead, other = tmp_path / "foresail-windows-dead.f32", tmp_path / "windows.txt"
    dead.write_bytes(b"0000")
    other.write_bytes(b"not ours")
    writing = (tmp_path / "foresail-windows-busy.f32").open("wb")
    window_file._owned(writing)
    made = mapped_matrix(tmp_path, (3, 5, 2), rows())
    assert np.array_equal(made, np.stack(rows()))
    left = {"foresail-windows-busy.f32", "windows.txt"}
    assert {path.name for path in tmp_path.iterdir()} == left
    writing.close()
    mapped_matrix(tmp_path, (3, 5, 2), rows())
    assert {path.name for path in tmp_path.iterdir()} == {"windows.txt"}


@ON_POSIX
def test_a_killed_process_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import numpy as np, os, pathlib, sys\n"
        "from foresail.forecasting.neural.window_file import mapped_matrix\n"
        "made = mapped_matrix(pathlib.Path(sys.argv[1]), (2, 3, 1), [np.ones((3, 1), np.float32)] * 2)\n"
        "assert made.sum() == 6\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_room_is_told_and_left_clean(tmp_path: Path) -> None:
    def full() -> object:
        yield rows()[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"cannot hold 0\.0 GB of windows: No space left") as found:
        mapped_matrix(tmp_path, (3, 5, 2), full())  # type: ignore[arg-type]
    assert "TMPDIR" in str(found.value.hint)
    with pytest.raises(DataError, match="infinite"):
        mapped_matrix(tmp_path, (3, 5, 2), (one for one in _broken()))
    assert list(tmp_path.iterdir()) == []


def _broken() -> object:
    yield rows()[0]
    raise DataError("input 0 of instrument 1 is infinite at time 0")
