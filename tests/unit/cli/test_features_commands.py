"""``foresail features`` keeps the contract of all commands."""

from __future__ import annotations

import json


def test_compute_writes_a_file_and_one_document(foresail, tmp_path):
    done = foresail("features", "compute", "--set", "rsi_14,atr_14", "--until", "1991-12-31", "--names", "3", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["features"] == ["rsi_14", "atr_14"]
    assert list(document["absent"]) == ["atr_14"]
    assert (tmp_path / "features.parquet").is_file()
    assert "computing features" in done.err
    again = foresail("features", "compute", "--set", "rsi_14", "--json")
    assert again.code == 2
    assert "exists" in json.loads(again.out)["text"]


def test_unknown_names_are_usage_errors_that_name_the_nearest(foresail):
    done = foresail("features", "explain", "rsi14", "--json")
    assert done.code == 2
    document = json.loads(done.out)
    assert "Did you mean 'rsi_14'" in document["text"]
    assert "features list" in document["hint"]


def test_list_and_explain_print_for_people(foresail):
    done = foresail("features", "list", "--group", "momentum")
    assert done.code == 0
    assert "rsi_14" in done.out
    assert "macd " not in done.out
    done = foresail("features", "explain", "bb_upper", "--bare")
    assert done.code == 0
    assert "formula" in done.out
    assert "a model sees" in done.out


def test_what_the_bars_cannot_give_cannot_be_drawn(foresail, tmp_path):
    done = foresail("features", "plot", "atr_14", "AAPL")
    assert done.code == 3
    assert "needs high, low" in done.err
    done = foresail("features", "plot", "rsi_14", "AAPL", "--until", "1992-12-31")
    assert done.code == 0, done.err
    assert (tmp_path / "rsi_14-AAPL.html").is_file()
