"""The model card as a page: what it tells, curves where there are some, and nothing from outside unescaped."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

from foresail.reporting.model_card import render_model_card

SCORE = {
    "target": "close",
    "horizon": 5,
    "forecasts": 1234,
    "pinball": 0.009,
    "no_change_pinball": 0.01,
    "coverage": {"value": 0.79, "low": 0.77, "high": 0.81},
    "mae": 0.02,
    "no_change_mae": 0.021,
    "hit_rate": 0.52,
    "base_rate": None,
}
CARD: dict[str, Any] = {
    "model": {"name": "stock_1d_tft_v3", "version": "tft@1-abc", "settings": {"width": 32}},
    "data": {
        "from": 10**18,
        "to": 11 * 10**17,
        "instruments": ["a", "b"],
        "frame": "1d",
        "price_basis": "split_adjusted",
        "universe_basis": "hindsight",
    },
    "features": {"names": ["rsi_14", "<b>"], "sha256": "f" * 64},
    "seed": 7,
    "splits": [{"part": "train", "from": "2001-09-09", "to": "2003-01-01", "rows": 99}],
    "metrics": [SCORE],
    "acceptance": {"accepted": False, "checks": [{"passed": False, "text": "5 bars ahead: worse"}]},
    "intended_use": "Ranges.",
    "training": ["Curves."],
    "limits": ["<script>alert(1)</script>"],
    "importance": {"rsi_14": 0.75, "<b>": 0.25},
    "trials": 2,
}
RECORD: dict[str, Any] = {
    "class": "stock",
    "metrics": {
        "predictions_sha256": "a" * 64,
        "balance": [
            {"horizon": 5, "part": "train", "counts": [1000, 2000, 1000], "imbalance": 2.0, "warning": "twice"},
            {"horizon": 5, "part": "test", "counts": [], "imbalance": None, "warning": "none is up"},
        ],
        "classes": [
            {"horizon": 5, "confusion": [[1, 2, 3], [4, 5, 6], [7, 8, 9]], "accuracy": 0.4, "always_neutral": 0.5}
        ],
    },
    "history": {"train_loss": [0.3, 0.2, 0.19], "validation_loss": [0.31, 0.25, None]},
    "notes": ["3 epochs"],
    "code": "c" * 64,
}


def test_the_card_tells_everything_once():
    page = render_model_card(CARD, RECORD)
    for text in (
        "stock_1d_tft_v3",
        "tft@1-abc",
        "79.0",
        "1,234",
        "rsi_14",
        "2 trials",
        "Loss by epoch",
        "split adjusted",
    ):
        assert text in page, text
    assert "best epoch 2" in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    for chart in page.split("<svg")[1:]:
        ET.fromstring("<svg" + chart.split("</svg>")[0] + "</svg>")


def test_the_card_tells_errors_tests_and_honesty():
    var = {"level": 0.05, "breaches": 62, "share": 0.0502, "tested": 20, "kupiec": 2, "christoffersen": 3}
    errors = {"rmse": 0.031, "no_change_rmse": 0.032, "mape": 0.021, "no_change_mape": 0.022, "value_at_risk": var}
    seen = {"value": 0.55, "low": 0.5, "high": 0.6}
    honest = {"method": "temperature", "error_before": 0.11, "error": 0.042}
    curve = [{"said": 0.6, "seen": seen, "rows": 1234}]
    card = {
        **CARD,
        "metrics": [SCORE | errors],
        "paired": [{"horizon": 5, "other": "<ridge>", "word": "cannot tell", "text": "Cannot tell from ridge."}],
        "calibration": [
            {
                "target": "close",
                "horizon": 5,
                "classes": {**honest, "curve": curve},
                "confidence": {**honest, "curve": []},
            }
        ],
    }
    page = render_model_card(card, RECORD)
    for text in (
        "3.100",
        "3.200",
        "2.100",
        "5.0",
        "3 of 20",
        "&lt;ridge&gt;",
        "cannot tell",
        "temperature",
        "11.0",
        "4.2",
    ):
        assert text in page, text
    assert "<ridge>" not in page


def test_a_model_without_epochs_has_no_curves():
    page = render_model_card(CARD, {**RECORD, "history": {}})
    assert "<svg" not in page
    assert "Loss by epoch" not in page


def test_the_card_tells_ranges_of_each_target_and_the_classification_report():
    none = {"value": None, "low": None, "high": None}
    held = {"value": 0.823, "low": 0.8, "high": 0.84}
    ranges = [
        SCORE | {"width": 0.0472, "rank_ic": {"value": 0.021, "low": -0.004, "high": 0.046}},
        SCORE | {"target": "high", "coverage": held, "width": 0.0611, "rank_ic": none},
    ]
    report = {
        "down": {"precision": None, "recall": 0.0, "f1": 0.0, "rows": 6},
        "neutral": {"precision": 0.523, "recall": 0.617, "f1": 0.566, "rows": 15},
        "up": {"precision": 0.318, "recall": 0.222, "f1": 0.261, "rows": 24},
    }
    told = RECORD["metrics"]["classes"][0] | {
        "rows": 45,
        "balanced_accuracy": 0.347,
        "log_loss": 1.0512,
        "classes": report,
    }
    record = {**RECORD, "metrics": {**RECORD["metrics"], "classes": [told]}}
    page = render_model_card({**CARD, "metrics": ranges}, record)
    for text in ("0.0472", "0.0611", "82", "+0.021", "34", "1.0512", "52", "0.566", "0.261", "Classification report"):
        assert text in page, text
    shares = [6 / 45, 15 / 45, 24 / 45]
    assert f"{-sum(p * math.log(p) for p in shares):.4f}" in page
    old = render_model_card(CARD, RECORD)  # of an older version
    assert "Classification report" not in old
    assert "rank correlation" not in old
