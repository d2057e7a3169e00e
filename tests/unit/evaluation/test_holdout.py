"""The hold-out: what is on record before labels are joined, one look a release, and what further looks cost."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from foresail.core.canonical import hash_bytes
from foresail.core.errors import UnknownNameError, UserError
from foresail.evaluation.holdout import HoldOut, Release, Seal, looks_at, refuse_sealed, seal, seals_of
from foresail.evaluation.registry import Lineage, Trial, TrialRegistry
from foresail.measures.honesty import SharpeSample
from foresail.testing.builders import fixed_clock

NAMES = tuple(f"stock.US.A{i}" for i in range(6))
SEALED = Lineage(NAMES, "1d", "close", 800, 1000)
BEFORE = Lineage(NAMES, "1d", "close", 0, 800)


def a_seal(name: str = "final", lineage: Lineage = SEALED, labels: str = "a" * 64) -> Seal:
    return Seal(name, lineage, labels, 40, "2024-01-01T00:00:00+00:00", "/vault/final")


def release(name: str = "1.0") -> Release:
    return Release(name, "s" * 64, "c" * 64)


@pytest.fixture
def registry(tmp_path: Path) -> TrialRegistry:
    found = TrialRegistry(tmp_path / "trials.jsonl")
    seal(found, a_seal())
    return found


@pytest.fixture
def holdout(registry: TrialRegistry, tmp_path: Path) -> HoldOut:
    return HoldOut(registry, "final", folder=tmp_path / "looks", clock=fixed_clock())


def test_predictions_manifest_and_look_are_on_record_before_labels_are_joined(
    holdout: HoldOut, registry: TrialRegistry, tmp_path: Path
) -> None:
    def score() -> dict[str, float]:
        folder = tmp_path / "looks" / "final-look-1"
        assert (folder / "predictions").read_bytes() == b"mine"
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["predictions_sha256"] == hash_bytes(b"mine")
        assert manifest["labels_sha256"] == "a" * 64
        assert manifest["written_at"] == fixed_clock().now().isoformat()
        assert len(looks_at(TrialRegistry(tmp_path / "trials.jsonl"), "final")) == 1
        return {"loss": 0.25}

    opened = holdout.open(release(), b"mine", score)
    assert opened.counted
    assert opened.score == {"loss": 0.25}
    assert opened.text == "hold-out final: looked at once; this is look 1"
    assert looks_at(registry, "final")[0].score == {"loss": 0.25}


def test_equal_predictions_get_the_recorded_result_and_count_nothing(holdout: HoldOut, tmp_path: Path) -> None:
    holdout.open(release(), b"mine", lambda: {"loss": 0.25})
    before = (tmp_path / "trials.jsonl").read_bytes()
    again = holdout.open(release(), b"mine", lambda: {"loss": 0.0})
    assert (again.counted, again.looks, again.score) == (False, 1, {"loss": 0.25})
    assert (tmp_path / "trials.jsonl").read_bytes() == before


def test_other_predictions_of_a_release_are_refused_unless_counted(holdout: HoldOut) -> None:
    holdout.open(release(), b"mine", lambda: {"loss": 0.25})
    with pytest.raises(UserError, match="with other predictions") as error:
        holdout.open(release(), b"better", lambda: {"loss": 0.1})
    assert "--another-look" in str(error.value)
    opened = holdout.open(release(), b"better", lambda: {"loss": 0.1}, another_look=True)
    assert (opened.counted, opened.looks, opened.look.number) == (True, 2, 2)
    assert "looked at 2 times; 1 of them count as further trials" in opened.text
    assert holdout.open(release(), b"mine", dict).score == {"loss": 0.25}  # the first one is still on record


def test_another_release_looks_once_and_counts(holdout: HoldOut) -> None:
    holdout.open(release(), b"mine", lambda: {"loss": 0.25})
    second = holdout.open(release("1.1"), b"mine", lambda: {"loss": 0.25})
    assert (second.counted, second.looks) == (True, 2)


def test_an_interrupted_look_is_counted_and_finished_without_a_second_one(
    holdout: HoldOut, registry: TrialRegistry
) -> None:
    def stopped() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        holdout.open(release(), b"mine", stopped)
    assert [one.score for one in looks_at(registry, "final")] == [None]
    opened = holdout.open(release(), b"mine", lambda: {"loss": 0.25})
    assert (opened.counted, opened.looks, opened.score) == (False, 1, {"loss": 0.25})


def test_looks_after_the_first_enter_the_number_of_trials(holdout: HoldOut, registry: TrialRegistry) -> None:
    registry.register(Trial("s", "c", BEFORE, SharpeSample(0.05, 1000, 0.0, 3.0), 252.0))
    for number, content in enumerate((b"a", b"b", b"c"), start=1):
        holdout.open(release(str(number)), content, lambda: {"loss": 1.0})
        found = registry.count(BEFORE)
        assert found.n == number
        assert any("final has been looked at" in note for note in found.notes) == (number > 1)
    elsewhere = Lineage(tuple(f"stock.US.B{i}" for i in range(6)), "1d", "close", 0, 800)
    assert registry.count(elsewhere).n == 1


def test_a_seal_is_never_changed_nor_overlapped(registry: TrialRegistry) -> None:
    assert seal(registry, a_seal()).sealed_at == "2024-01-01T00:00:00+00:00"
    assert len(seals_of(registry)) == 1
    with pytest.raises(UserError, match="sealed already"):
        seal(registry, a_seal(labels="b" * 64))
    grown = Lineage(NAMES[:-1], "1d", "close", 999, 2000)
    with pytest.raises(UserError, match="overlaps the hold-out final"):
        seal(registry, a_seal("second", grown))
    seal(registry, a_seal("later", Lineage(NAMES, "1d", "close", 1000, 2000)))
    assert [one.name for one in seals_of(registry)] == ["final", "later"]


def test_reading_past_the_start_is_refused_until_somebody_looked(holdout: HoldOut, registry: TrialRegistry) -> None:
    assert refuse_sealed(registry, BEFORE) == ()
    reach = Lineage(NAMES[:3], "1d", "anything", 0, 801)
    with pytest.raises(UserError, match="where the hold-out final begins"):
        refuse_sealed(registry, reach)
    assert refuse_sealed(registry, Lineage(NAMES, "1h", "close", 0, 801)) == ()
    holdout.open(release(), b"mine", lambda: {"loss": 1.0})
    assert "is no hold-out any more" in refuse_sealed(registry, reach)[0]


def test_an_unknown_hold_out_is_refused_with_the_known_ones(registry: TrialRegistry, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Known: final"):
        HoldOut(registry, "fnal", folder=tmp_path, clock=fixed_clock())


def test_a_full_disk_counts_nothing(registry: TrialRegistry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = HoldOut(registry, "final", folder=tmp_path / "file", clock=fixed_clock())
    with pytest.raises(UserError, match="nothing was counted"):
        broken.open(release(), b"mine", dict)
    assert looks_at(registry, "final") == ()


def test_looks_of_two_writers_get_numbers_of_their_own(tmp_path: Path, registry: TrialRegistry) -> None:
    def work(name: str) -> None:
        own = TrialRegistry(tmp_path / "trials.jsonl")
        HoldOut(own, "final", folder=tmp_path / "looks", clock=fixed_clock()).open(
            release(name), name.encode(), lambda: {"loss": 1.0}
        )

    threads = [threading.Thread(target=work, args=(f"r{i}",)) for i in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.number for one in looks_at(registry, "final")) == list(range(1, 9))
