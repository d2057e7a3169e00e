import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
)
from sklearn.metrics import (
    confusion_matrix as oracle_confusion,
)

from foresail.core.errors import DataError
from foresail.measures.classes import class_report, confusion_matrix, probability_scores

RANDOM = np.random.default_rng(0)
ACTUAL = RANDOM.choice(3, size=500, p=[0.25, 0.5, 0.25])
SAID = np.where(RANDOM.random(500) < 0.4, ACTUAL, RANDOM.integers(0, 3, 500))


def test_report_equals_scikit_learn():
    found = class_report(ACTUAL, SAID)
    precision, recall, f1, _ = precision_recall_fscore_support(ACTUAL, SAID)
    np.testing.assert_array_equal(found.confusion, oracle_confusion(ACTUAL, SAID))
    np.testing.assert_allclose([found.precision, found.recall, found.f1], [precision, recall, f1], rtol=1e-12)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(ACTUAL, SAID))
    assert found.macro_f1 == pytest.approx(f1_score(ACTUAL, SAID, average="macro"))
    assert found.matthews == pytest.approx(matthews_corrcoef(ACTUAL, SAID))
    assert found.accuracy == pytest.approx(np.mean(ACTUAL == SAID))


def test_always_neutral_stands_beside_the_accuracy_and_has_no_skill():
    found = class_report(ACTUAL, np.ones(500))
    assert found.accuracy == found.always_neutral == np.mean(ACTUAL == 1)
    assert found.base_rate == found.accuracy
    assert (found.matthews, found.balanced_accuracy) == (0.0, pytest.approx(1 / 3))
    assert np.isnan(found.precision[[0, 2]]).all()


def test_class_that_never_came_has_no_recall_and_counts_in_no_mean():
    found = class_report([0, 0, 2], [0, 2, 2])
    assert np.isnan(found.recall[1])
    assert np.isnan(found.f1[1])
    assert found.balanced_accuracy == 0.75
    assert np.isnan(class_report([0, 1], [0, 1], names=("down", "up")).always_neutral)


def test_probability_scores_equal_scikit_learn():
    table = RANDOM.dirichlet([1, 2, 1], 500)
    found = probability_scores(ACTUAL, table)
    assert found.log_loss == pytest.approx(log_loss(ACTUAL, table))
    assert found.brier == pytest.approx(brier_score_loss(ACTUAL, table, scale_by_half=False, labels=[0, 1, 2]))
    shares = np.tile(np.bincount(ACTUAL) / 500, (500, 1))
    assert found.base_brier == pytest.approx(probability_scores(ACTUAL, shares).brier)
    assert found.base_log_loss == pytest.approx(log_loss(ACTUAL, shares))


def test_certainty_gone_wrong_is_dear_and_finite():
    assert probability_scores([0], [[0.0, 1.0]]).log_loss == pytest.approx(-np.log(1e-15))


@pytest.mark.parametrize(
    ("actual", "said", "words"),
    [
        ([0, 3], [0, 1], "classes 0 to 2, received 3 in row 2"),
        ([0, np.nan], [0, 1], "received nan in row 2"),
        ([0, 1], [0], "one length"),
        ([], [], "at least 1"),
    ],
)
def test_what_is_no_class_is_refused(actual, said, words):
    with pytest.raises(DataError, match=words):
        confusion_matrix(actual, said)


@pytest.mark.parametrize("row", [[0.5, 0.6], [-0.1, 1.1], [np.nan, 0.5]])
def test_what_is_no_distribution_is_refused(row):
    with pytest.raises(DataError, match="in row 2"):
        probability_scores([0, 1], [[0.5, 0.5], row])
