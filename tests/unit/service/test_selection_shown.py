"""The stability of a selection stands in the report and in the model card of a run; without one neither changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foresail.engine.settings import InputSettings
from foresail.features.selection import Stability
from foresail.reporting.html import render_report
from foresail.service.finished import Finished
from foresail.service.report_baselines import baseline_scores
from foresail.service.report_input import report_input
from foresail.service.report_model import model_document
from foresail.service.report_scores import outcomes


def test_the_share_of_refits_that_keep_a_feature_is_told(finished: Finished) -> None:
    kept = np.array([[True, True, False], [True, False, False]])
    told = Stability(("rsi_14", "log_return_5", "volatility_20"), kept)
    walk = replace(finished.result.walk, stability=told)
    chosen = replace(finished, result=replace(finished.result, walk=walk))
    card = model_document(chosen)
    assert card["features"]["selection"] == {
        "folds": 2,
        "kept": 1.5,
        "agreement": 0.5,
        "share": {"rsi_14": 1.0, "log_return_5": 0.5, "volatility_20": 0.0},
    }
    assert card["training"][0].startswith("Selection of features: 2 folds kept 1.5 of 3 features")
    page = render_report(report_input(chosen))
    assert "Features by the share of refits that keep them" in page
    assert "two of them agree on 50%" in page


def test_where_nothing_was_selected_nothing_is_said(finished: Finished) -> None:
    assert set(model_document(finished)["features"]) == {"names", "sha256"}
    assert "share of refits that keep" not in render_report(report_input(finished))


def test_baselines_see_plain_inputs_whatever_the_model_is_given(finished: Finished) -> None:
    inputs = InputSettings(selection="forest", keep=2, normalise="standard", row_weights="recency")
    settings = replace(finished.result.settings, inputs=inputs)
    realised = outcomes(finished.result)
    plain, _ = baseline_scores(finished.result, realised)
    other, _ = baseline_scores(replace(finished.result, settings=settings), realised)
    assert [one.key for one in other] == [one.key for one in plain]
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_array_equal(one.loss, two.loss)
