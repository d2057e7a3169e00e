"""The search of a sweep for the next bar at which anything can happen, many bars at a look.

Compilers do not turn a search that ends early into vector instructions, so a look is written in the language of the
compiler (LLVM): compare the prices of some bars with a level, gather the answers as the bits of an integer, count its
trailing zeros. Where the processor's vectors are shorter, the compiler splits a look. Comparisons are ordered: a bar
without a price (NaN) meets nothing. Arrays are contiguous; a look stays within them, the rest is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic as jit_intrinsic

__all__ = ["LOOK", "LOOK_WISHES", "place_of_wish", "place_out_of_long", "place_out_of_short"]

LOOK = 16  # bars whose prices are compared at once
LOOK_WISHES = 64  # bars whose wishes, a byte each, are compared at once
_AHEAD = 256  # bars; a look asks memory for what comes so far ahead: with a trade every 50 bars no stream is recognised
_BYTE, _NUMBER, _WHOLE, _PLACE = ir.IntType(8), ir.DoubleType(), ir.IntType(64), ir.IntType(32)


def _refuse_strided(arrays: Iterable[Any]) -> None:
    """Raise where an array is a view with gaps: a look reads neighbours in memory."""
    if any(array.layout != "C" for array in arrays):
        raise TypingError("a look needs contiguous arrays: copy the columns with numpy.ascontiguousarray first")


class _Look:
    """Code that looks at consecutive elements of arrays."""

    def __init__(self, context: Any, builder: Any, t: Any, lanes: int) -> None:
        self._context, self._builder, self._t, self._lanes = context, builder, t, lanes

    def _loaded(self, kind: Any, array: Any, value: Any) -> Any:
        data = self._context.make_array(array)(self._context, self._builder, value).data
        at = self._builder.gep(data, [self._t])
        vector = ir.VectorType(kind, self._lanes)
        return self._builder.load(self._builder.bitcast(at, vector.as_pointer()), align=1 if kind is _BYTE else 8)

    def _spread(self, value: Any) -> Any:
        vector = ir.VectorType(value.type, self._lanes)
        nothing = ir.Constant(vector, ir.Undefined)
        one = self._builder.insert_element(nothing, value, ir.Constant(_PLACE, 0))
        return self._builder.shuffle_vector(
            one, nothing, ir.Constant(ir.VectorType(_PLACE, self._lanes), [0] * self._lanes)
        )

    def compared(self, array: Any, value: Any, relation: str, level: Any) -> Any:
        """Return a bit for each price that stands so to the level."""
        return self._builder.fcmp_ordered(relation, self._loaded(_NUMBER, array, value), self._spread(level))

    def wished(self, array: Any, value: Any, bits: Any) -> Any:
        """Return a bit for each wish that has one of the given bits."""
        wanted = self._spread(self._builder.trunc(bits, _BYTE))
        among = self._builder.and_(self._loaded(_BYTE, array, value), wanted)
        return self._builder.icmp_unsigned("!=", among, ir.Constant(among.type, [0] * self._lanes))

    def expect(self, array: Any, value: Any) -> None:
        """Ask memory for the lines of as many bars further on."""
        data = self._context.make_array(array)(self._context, self._builder, value).data
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _PLACE, _PLACE, _PLACE])
        prefetch = cgutils.get_or_insert_function(self._builder.module, kind, "llvm.prefetch.p0")
        for k in range(0, self._lanes, 8):
            at = self._builder.gep(data, [self._builder.add(self._t, ir.Constant(_WHOLE, _AHEAD + k))])
            place = self._builder.bitcast(at, _BYTE.as_pointer())
            self._builder.call(prefetch, [place, *(ir.Constant(_PLACE, one) for one in (0, 3, 1))])

    def first(self, flags: Any) -> Any:
        """Return the place of the first bit that is set, the number of bars where none is."""
        mask = self._builder.bitcast(flags, ir.IntType(self._lanes))
        if self._lanes < 64:
            mask = self._builder.or_(self._builder.zext(mask, _WHOLE), ir.Constant(_WHOLE, 1 << self._lanes))
        return self._builder.cttz(mask, ir.Constant(ir.IntType(1), 0))


def _place_out(above: str, below: str) -> Any:
    """Return the code of a look at a position's next bars: beyond its low or high level, or with one of the wishes.

    The code takes (tops, bottoms), wishes, place, (low, high, bits) and returns the first such bar, ``LOOK`` for none.
    """

    @jit_intrinsic  # type: ignore[untyped-decorator]
    def place(typing: Any, prices: Any, wishes: Any, t: Any, exits: Any) -> Any:
        _refuse_strided((*prices, wishes))

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pair, wish, at, asked = arguments
            top, bottom = cgutils.unpack_tuple(builder, pair)
            low, high, wanted = cgutils.unpack_tuple(builder, asked)
            look = _Look(context, builder, at, LOOK)
            look.expect(prices[0], top)
            look.expect(prices[1], bottom)
            met = builder.or_(look.compared(prices[0], top, above, high), look.compared(prices[1], bottom, below, low))
            return look.first(builder.or_(met, look.wished(wishes, wish, wanted)))

        return types.int64(prices, wishes, types.int64, exits), code

    return place


place_out_of_long = _place_out(">", "<=")  # a stop is met by a touch, a target is not
place_out_of_short = _place_out(">=", "<")


@jit_intrinsic  # type: ignore[untyped-decorator]
def place_of_wish(typing: Any, prices: Any, wishes: Any, t: Any, bits: Any) -> Any:
    """Return the code of a look at 64 bars: the place of the first that has one of the bits, 64 where none has."""
    _refuse_strided((*prices, wishes))

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pair, wish, at, wanted = arguments
        look = _Look(context, builder, at, LOOK_WISHES)
        for own, value in zip(prices, cgutils.unpack_tuple(builder, pair), strict=True):
            look.expect(own, value)
        return look.first(look.wished(wishes, wish, wanted))

    return types.int64(prices, wishes, types.int64, types.int64), code
