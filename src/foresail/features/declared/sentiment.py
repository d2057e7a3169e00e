"""Sentiment of articles and posts (section 8.13): made elsewhere, given as of the bar. -1 to 1 is stored (FC-13)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import ALL, NO_FOREX, FeatureSpec, declare
from foresail.features.expressions import given
from foresail.features.formulas.days import day_change
from foresail.features.formulas.given import known

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for name, text, source in (
        ("sentiment_score", "mean sentiment of the articles of 24 hours, -1 bearish to 1 bullish", "FEAT-301"),
        ("sentiment_momentum", "mean of the newer half minus that of the older half, 24 hours", "FEAT-302"),
    ):
        yield declare(name, known(name), text, source, group="sentiment", type_="sentiment", display_factor=100.0,
                       critical=name == "sentiment_score")  # fmt: skip
    for days in (3, 7):
        yield declare(f"sentiment_momentum_{days}d", day_change(given("sentiment_score"), days),
                       f"change of the score over {days} days", "FEAT-303", group="sentiment", type_="sentiment",
                       parameters=(days,))  # fmt: skip
    for name, text, source, classes in (
        ("sentiment_volatility", "deviation of the scores of 24 hours", "FEAT-304", ALL),
        ("news_volume", "articles in 24 hours", "FEAT-305", ALL),
        ("bullish_pct", "bullish comments over all comments, a fraction", "FEAT-306", NO_FOREX),
        ("bearish_pct", "bearish comments over all comments, a fraction", "FEAT-306", NO_FOREX),
        ("neutral_pct", "neutral comments over all comments, a fraction", "FEAT-306", NO_FOREX),
        ("reddit_sentiment", "mean sentiment of the posts of this source", "FEAT-307", NO_FOREX),
        ("twitter_sentiment", "mean sentiment of the posts of this source", "FEAT-307", NO_FOREX),
        ("stocktwits_sentiment", "mean sentiment of the posts of this source", "FEAT-307", NO_FOREX),
        ("news_sentiment_24h", "mean score of a language model over the articles of 24 hours", "FEAT-308", ALL),
    ):
        yield declare(name, known(name), text, source, group="sentiment", type_="sentiment", classes=classes)
