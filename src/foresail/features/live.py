"""Live: one bar of all instruments at a time, with the machine code and in the order that history uses.

Feeding a history bar by bar gives the values of ``batch.compute`` bit for bit. Memory is bounded, so a bar costs the
same after a year as on the first day. ``snapshot`` and ``restore`` carry the memory over a restart; corrections are
replayed from the last snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId
from foresail.features.catalogue import expand
from foresail.features.context import ContextRow, FeatureContext
from foresail.features.declared.spec import SCHEMA_VERSION
from foresail.features.kernels.build import source_hash
from foresail.features.plan import make_plan
from foresail.features.runner import field_positions, fresh_memory, run

__all__ = ["BAR_FIELDS", "LiveDriver"]

# A bar panel of the store has these columns, always all, NaN where absent.
BAR_FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
_PARTS = ("work", "fresh", "count", "state", "ring")


class LiveDriver:
    """Features of the newest bar.

    Parameters
    ----------
    instruments : ascending, the rows of every update
    names : features or a set; unlike ``compute``, none are left out by looking at data
    context : sector codes and reference names; its series are not used
    fields : the columns of every update, by default those of a panel that the store reads
    """

    def __init__(
        self,
        instruments: Sequence[InstrumentId],
        names: Sequence[str] | str | None,
        context: FeatureContext,
        fields: Sequence[str] = BAR_FIELDS,
    ) -> None:
        specs = expand(names)
        self.names = tuple(spec.name for spec in specs)
        self.instruments = tuple(instruments)
        self._plan = make_plan([spec.expression for spec in specs])
        self._context = context
        self._positions = field_positions(tuple(fields))
        self._width = len(fields)
        self._memory = fresh_memory(self._plan, len(self.instruments))
        self._identity = np.frombuffer(
            bytes.fromhex(source_hash()) + SCHEMA_VERSION.to_bytes(4, "little"), dtype=np.uint8
        ).copy()

    def update(self, bar_row: FloatArray, present: BoolArray, context_row: ContextRow) -> FloatArray:
        """Take one bar and return its features.

        Parameters
        ----------
        bar_row : (N, F) in the order of ``fields``
        present : (N,)
        context_row : reference values and calendar of the bar

        Returns
        -------
        (N, features); NaN until warm and where there is no bar
        """
        n = len(self.instruments)
        if bar_row.shape != (n, self._width) or present.shape != (n,):
            raise ValueError(f"expected bars ({n}, {self._width}), received {bar_row.shape} and {present.shape}")
        values = np.ascontiguousarray(bar_row, dtype=np.float64).reshape(n, 1, self._width)
        here = np.ascontiguousarray(present, dtype=np.bool_).reshape(n, 1)
        context = replace(
            self._context,
            reference=np.asarray(context_row.reference, dtype=np.float64).reshape(-1, 1),
            calendar=np.asarray(context_row.calendar, dtype=np.float64).reshape(-1, 1),
            given=np.asarray(context_row.given, dtype=np.float64).reshape(n, 1, len(self._context.given_names)),
        )
        out = run(self._plan, (self._positions, values, here), context, memory=self._memory)
        return np.ascontiguousarray(out[:, 0, : self._plan.wanted])

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return a copy of all memory as named arrays."""
        arrays = {"identity": self._identity.copy()}
        for key, part in self._parts():
            arrays[key] = part.copy()
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot of a driver of the same instruments, features and kernels.

        Raises
        ------
        IntegrityError
            If the snapshot belongs to another program.
        """
        if not np.array_equal(arrays.get("identity", np.empty(0)), self._identity):
            raise IntegrityError(
                "the snapshot was made by other kernels than these", hint="replay the stored bars instead"
            )
        parts = list(self._parts())
        for key, part in parts:
            if key not in arrays or arrays[key].shape != part.shape:
                raise IntegrityError(f"the snapshot does not fit: {key} is absent or of another shape")
        for key, part in parts:
            part[...] = arrays[key]

    def _parts(self) -> list[tuple[str, np.ndarray]]:
        memories = [(f"stage{i}", m) for i, m in enumerate(self._memory.stages)]
        memories += [(f"reference{i}", m) for i, m in enumerate(self._memory.reference)]
        return [(f"{where}.{part}", getattr(m, part)) for where, m in memories for part in _PARTS]
