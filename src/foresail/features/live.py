"""Live: one bar of all instruments at a time, with the machine code and in the order that history uses.

Feeding a history bar by bar gives the values of ``batch.compute`` bit for bit. Memory is bounded, so a bar costs the
same after a year as on the first day. ``snapshot`` and ``restore`` carry the memory over a restart; a late or corrected
bar is taken in by ``replay`` from the last snapshot before it; ``enlist`` takes in new instruments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import IntegrityError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.features.catalogue import expand, refuse_frames
from foresail.features.context import ContextRow, FeatureContext
from foresail.features.declared.spec import SCHEMA_VERSION
from foresail.features.kernels._layout import LANES
from foresail.features.kernels.build import source_hash
from foresail.features.plain import FORMS
from foresail.features.plan import make_plan
from foresail.features.runner import field_positions, fresh_memory, run
from foresail.features.stablecoins import silent_values

__all__ = ["BAR_FIELDS", "LiveDriver"]

# A bar panel of the store has these columns, always all, NaN where absent.
BAR_FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
_PARTS = ("count", "state", "ring")


class LiveDriver:
    """Features of the newest bar.

    Parameters
    ----------
    instruments : ascending, the rows of every update
    names : features or a set; unlike ``compute``, none are left out by looking at data
    context : sector codes and reference names; its series are not used
    fields : the columns of every update, by default those of a panel that the store reads
    threads : share the work of a bar; values do not depend on it
    form : "display" or "model", as for ``batch.compute``
    """

    def __init__(
        self,
        instruments: Sequence[InstrumentId],
        names: Sequence[str] | str | None,
        context: FeatureContext,
        fields: Sequence[str] = BAR_FIELDS,
        *,
        threads: int = 1,
        form: str = "display",
    ) -> None:
        if form not in FORMS:
            raise UnknownNameError("form of features", form, FORMS)
        specs = expand(names)
        refuse_frames(specs, "this live driver (frames_live.FrameLiveDriver takes them)")
        self.names = tuple(spec.name for spec in specs)
        self.instruments = tuple(instruments)
        is_model = form == "model"
        self._plan = make_plan([spec.model_expression if is_model else spec.expression for spec in specs])
        self._context = context
        self._threads = threads
        self._positions = field_positions(tuple(fields))
        self._width = len(fields)
        self._memory = fresh_memory(self._plan, len(self.instruments))
        self._silent = silent_values(self.instruments, self.names, self._plan.columns)
        program = hashlib.sha256("\0".join([*self.names, *(["form model"] if is_model else [])]).encode()).digest()
        self._identity = np.frombuffer(
            bytes.fromhex(source_hash()) + SCHEMA_VERSION.to_bytes(4, "little") + program, dtype=np.uint8
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
        bars = (self._positions, values, here)
        out = run(self._plan, bars, context, memory=self._memory, threads=self._threads, silent=self._silent)
        return np.ascontiguousarray(out[:, 0, : self._plan.wanted])

    def replay(self, arrays: Mapping[str, np.ndarray], panel: Panel, context: FeatureContext) -> FloatArray:
        """Go back to a snapshot and take the bars since then anew, a late or corrected one among them.

        Parameters
        ----------
        arrays : a snapshot taken before the first changed bar
        panel : all bars after the snapshot, corrections included, with this driver's instruments and fields
        context : of the panel

        Returns
        -------
        (N, T, features) as of the corrected bars; the driver continues after the last one

        Raises
        ------
        IntegrityError
            If the snapshot belongs to another program, or the panel to other instruments or fields.
        """
        if tuple(panel.instruments) != self.instruments or not np.array_equal(
            field_positions(panel.fields), self._positions
        ):
            raise IntegrityError(
                f"the panel to replay has {len(panel.instruments)} instruments and fields {', '.join(panel.fields)}, "
                f"not those of the driver ({len(self.instruments)} instruments)",
                hint="read the panel with the driver's own instruments and fields",
            )
        self.restore(arrays)
        needed = [series.name for series in self._plan.series if series.kind == "calendar"]
        values = np.ascontiguousarray(panel.values, dtype=np.float64)
        present = np.ascontiguousarray(panel.present, dtype=np.bool_)
        bars = (self._positions, values, present)
        out = run(
            self._plan,
            bars,
            context.complete(panel, needed),
            memory=self._memory,
            threads=self._threads,
            silent=self._silent,
        )
        return np.ascontiguousarray(out[:, :, : self._plan.wanted])

    def enlist(self, instruments: Sequence[InstrumentId], context: FeatureContext) -> None:
        """Take in new instruments; those already there keep their memory and their values.

        Parameters
        ----------
        instruments : ascending, all that are there and the new ones
        context : as for a new driver of these instruments

        Raises
        ------
        IntegrityError
            If an instrument that is there is missing: a name that no longer trades stays, absent.
        """
        places = {name: i for i, name in enumerate(instruments)}
        lost = [name for name in self.instruments if name not in places]
        if lost:
            raise IntegrityError(
                f"{len(lost)} instruments of the driver are missing, the first is {lost[0]}",
                hint="a delisted instrument stays in the list and is absent",
            )
        target = np.array([places[name] for name in self.instruments], dtype=np.int64)
        source = np.arange(target.shape[0])
        memory = fresh_memory(self._plan, len(instruments))
        for old, new in zip(self._memory.stages, memory.stages, strict=True):
            for part in _PARTS:
                taken = getattr(old, part)[source // LANES, :, source % LANES]
                getattr(new, part)[target // LANES, :, target % LANES] = taken
        self._memory = replace(memory, reference=self._memory.reference)
        self.instruments = tuple(instruments)
        self._silent = silent_values(self.instruments, self.names, self._plan.columns)
        self._context = context

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
                "the snapshot was made by other kernels or for other features than these",
                hint="replay the stored bars instead",
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
