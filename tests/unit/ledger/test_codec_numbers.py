"""No number that is not finite is written to a journal or read from one, however it is spelled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from foresail.core.errors import DataError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.codec import decode_entry, encode_entry
from foresail.ledger.entries import AlertRaised, Deposited, FillBooked, Marked

NAME = instrument_id("stock.US.FINANCE")
ONE = Decimal(1)
FILL = FillBooked(1, 2, Fill(OrderId("a"), NAME, Side.BUY, ONE, ONE, ONE, ONE, ONE, 0, FillReason.ENTRY))
WRONG = ("NaN", "-NaN", "sNaN", "NaN123", "Infinity", "-Infinity", "inf", "nan", "iNFINITY")


@pytest.mark.parametrize("text", WRONG)
def test_it_is_not_written(text):
    number = Decimal(text)
    for entry in (
        Deposited(1, 2, number),
        Marked(1, 2, ((NAME, ONE), (NAME, number))),
        replace(FILL, multiplier=number),
        replace(FILL, fill=replace(FILL.fill, fee=number)),
    ):
        with pytest.raises(DataError, match="finite"):
            encode_entry(entry)


@pytest.mark.parametrize("text", [*WRONG, "\\u004eaN", "\\u006E\\u0061\\u006E"])
def test_it_is_not_read(text):
    line = encode_entry(Deposited(1, 2, Decimal("7.25")))
    with pytest.raises(DataError):
        decode_entry(line.replace(b"7.25", text.encode()))


def test_words_that_look_like_it_are_fine():
    for entry in (FILL, AlertRaised(1, 2, "NaN", "INFO", "Infinity of nan")):
        assert decode_entry(encode_entry(entry)) == entry
