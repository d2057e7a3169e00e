"""Fetching end to end: yfinance asks a local server that speaks the chart JSON, and the answers reach the store."""

import json
import sys
import threading
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from foresail.core.clock import SimulatedClock
from foresail.core.errors import CapabilityError, ConfigError, DataError, UnknownNameError
from foresail.domain.calendars import sessions
from foresail.service.fetching import FetchRequest, fetch_set
from foresail.service.importing import open_store

yfinance = pytest.importorskip("yfinance")
NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


def chart(symbol, zone="America/New_York"):
    """Return what /v8/finance/chart/SYMBOL answers: daily bars of January and February 2024, one dividend."""
    _, opens, closes = sessions("XNYS", date(2024, 1, 2), date(2024, 2, 29))
    steps = np.arange(len(opens))
    close = [float(np.float32(100 + 0.5 * t + 3 * np.sin(t))) for t in steps]
    paid = 20
    adjusted = [float(np.float32(c * (1 - 0.5 / close[paid - 1]))) if t < paid else c for t, c in enumerate(close)]
    stamps = [int(o // 10**9) for o in opens]
    quote = {
        "open": [c - 0.2 for c in close],
        "high": [c + 1.0 for c in close],
        "low": [c - 1.0 for c in close],
        "close": close,
        "volume": [1_000_000 + int(t) for t in steps],
    }
    meta = {
        "currency": "USD", "symbol": symbol, "exchangeName": "NMS", "instrumentType": "EQUITY",
        "firstTradeDate": stamps[0], "regularMarketTime": int(closes[-1] // 10**9), "gmtoffset": -18000,
        "timezone": "EST", "exchangeTimezoneName": zone, "regularMarketPrice": close[-1], "priceHint": 2,
        "dataGranularity": "1d", "range": "", "validRanges": ["1d", "5d", "1mo", "max"],
    }  # fmt: skip
    events = {"dividends": {str(stamps[paid]): {"amount": 0.5, "date": stamps[paid]}}}
    indicators = {"quote": [quote], "adjclose": [{"adjclose": adjusted}]}
    return {
        "chart": {
            "result": [{"meta": meta, "timestamp": stamps, "events": events, "indicators": indicators}],
            "error": None,
        }
    }


NOTHING = {
    "chart": {"result": None, "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"}}
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        self.server.asked.append((url.path, parse_qs(url.query)))
        status, body = self.server.answer(url.path)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep the test's output quiet."""


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked, httpd.refusals = [], 0

    def answer(path):
        symbol = path.rsplit("/", 1)[1]
        if path.endswith("getcrumb"):
            return 200, b"abcdefg"
        if "/v8/finance/chart/" not in path:
            return 404, b"{}"
        if symbol.startswith("GONE"):
            return 404, json.dumps(NOTHING).encode()
        if symbol.startswith("HTML"):
            return 200, b"<html>consent</html>"
        if symbol.startswith("DOWN"):
            return 502, b"bad gateway"
        if symbol.startswith("SLOW"):
            httpd.refusals += 1
            return 429, b"Too Many Requests"
        zone = "Europe/Berlin" if symbol.startswith("BER") else "America/New_York"
        return 200, json.dumps(chart(symbol, zone)).encode()

    httpd.answer = answer
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def session(server, tmp_path, monkeypatch):
    """Return an HTTP session of yfinance's kind that takes every address to the local server."""
    from curl_cffi import requests
    from yfinance.data import YfData

    class LocalSession(requests.Session):
        def request(self, method, url, *args, **kwargs):
            parts = urlsplit(url)
            assert parts.hostname.endswith("yahoo.com")
            local = parts._replace(scheme="http", netloc=f"127.0.0.1:{server.server_port}")
            return super().request(method, local.geturl(), *args, **kwargs)

    yfinance.set_tz_cache_location(str(tmp_path / "cache"))
    YfData.cache_get.cache_clear()
    monkeypatch.chdir(tmp_path)
    with LocalSession() as made:
        yield made


@pytest.fixture
def fetch(session):
    pauses, told = [], []

    def run(**request):
        return fetch_set(
            FetchRequest(**request),
            progress=lambda *said: told.append(said),
            clock=SimulatedClock(NOW),
            session=session,
            pause=pauses.append,
        )

    run.pauses, run.told = pauses, told
    return run


def test_bars_go_from_the_wire_to_the_store(fetch, server):
    outcome = fetch(symbols="msft,AAPL", since="2024-01-01", name="mine")
    assert outcome.exit_code == 0
    assert outcome.document["accepted"] == 2 * 41
    assert outcome.document["nothing_came"] == []
    assert outcome.document["set"]["price_basis"] == "split_adjusted"
    assert outcome.document["set"]["universe_basis"] == "hindsight"
    assert any("hindsight" in note for note in outcome.document["notes"])
    history = [query for path, query in server.asked if path.endswith("/chart/AAPL") and "period1" in query]
    assert pd.Timestamp(int(history[0]["period1"][0]), unit="s", tz="UTC") == pd.Timestamp("2024-01-01T05:00Z")
    assert history[0]["interval"] == ["1d"]

    panel = open_store().read("mine", known_at=NOW)
    assert panel.instruments == ("stock.US.AAPL", "stock.US.MSFT")
    sent = chart("AAPL")["chart"]["result"][0]
    np.testing.assert_allclose(panel.field("close")[0], sent["indicators"]["quote"][0]["close"])
    cash = panel.field("dividend")[0]
    assert np.flatnonzero(cash > 0).tolist() == [20]
    assert cash[20] == pytest.approx(0.5, abs=2e-5)
    assert fetch.told == [("fetching from Yahoo", n, 2) for n in range(3)]
    assert fetch.pauses == [2.0]


def test_symbols_without_bars_are_listed_and_the_others_stored(fetch):
    outcome = fetch(symbols="AMD,GONE,HTML,BER", name="some")
    nothing = {entry["symbol"]: entry["reason"] for entry in outcome.document["nothing_came"]}
    assert sorted(nothing) == ["BER", "GONE", "HTML"]
    assert "Yahoo has nothing" in nothing["GONE"]
    assert "cannot read" in nothing["HTML"]
    assert "Europe/Berlin" in nothing["BER"]
    assert outcome.exit_code == 0
    assert [line for line in outcome.lines if line.startswith("  nothing for")] == [
        f"  nothing for {symbol}: {reason}" for symbol, reason in sorted(nothing.items())
    ]


def test_nothing_at_all_is_refused_and_leaves_no_store(fetch, tmp_path):
    with pytest.raises(DataError, match="none of 1 symbols gave a bar: GONE"):
        fetch(symbols="GONE")
    assert not (tmp_path / "store").exists()


def test_told_to_slow_down_it_waits_and_then_gives_up_on_the_symbol(fetch, server):
    outcome = fetch(symbols="AMZN,SLOW", name="slow")
    assert [entry["symbol"] for entry in outcome.document["nothing_came"]] == ["SLOW"]
    assert "slow down (429)" in outcome.document["nothing_came"][0]["reason"]
    assert fetch.pauses == [2.0, 30.0, 120.0]
    assert server.refusals >= 3


def test_after_five_failures_in_a_row_the_rest_is_not_asked(fetch, server):
    down = ",".join(f"DOWN{letter}" for letter in "ABCDEF")
    with pytest.raises(DataError, match="not asked: 5 failures in a row"):
        fetch(symbols=down)
    assert not [path for path, _ in server.asked if path.endswith("DOWNF")]


def test_a_second_fetch_under_the_name_is_refused_before_anything_is_asked(fetch, server):
    fetch(symbols="INTC", name="twice")
    asked = len(server.asked)
    with pytest.raises(ConfigError, match="'twice' is stored already") as refused:
        fetch(symbols="INTC", name="twice")
    assert "--name" in refused.value.hint
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        ({}, ConfigError, "either --symbols or --universe"),
        ({"symbols": "A", "universe": "sp500"}, ConfigError, "either --symbols or --universe"),
        ({"symbols": "A", "source": "yaho"}, UnknownNameError, "Did you mean 'yahoo'"),
        ({"symbols": "A", "since": "01/02/2024"}, ConfigError, "expected --since YYYY-MM-DD, received '01/02/2024'"),
        ({"symbols": "A", "name": "../x"}, ConfigError, "letters, digits"),
        ({"universe": "dax"}, UnknownNameError, "Known: nasdaq100, sp500"),
    ],
)
def test_a_wrong_request_is_told_before_the_network_is_used(request_, error, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        fetch_set(FetchRequest(**request_), progress=lambda *_: None)


def test_without_the_extra_the_text_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(CapabilityError) as refused:
        fetch_set(FetchRequest(symbols="AAPL"), progress=lambda *_: None)
    assert refused.value.hint == "pip install 'foresail[yahoo]'"
